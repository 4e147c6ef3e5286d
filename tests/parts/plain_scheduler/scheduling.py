"""The scheduling of one request: sift, filter, weigh, choose, claim; server by server.

Each claim is folded into the fleet at once (by the same ``evolve`` that will fold it for good), so
the next server of the request sees the room that is left. Linear in the number of hosts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from random import Random

import msgspec

from commands.decision import View
from events.fleet.allocation import Allocation, AllocationClaimed, AllocationReleased
from events.fleet.evidence import Evidence, FilterCount, HostScore
from events.fleet.host import Host, evolve
from events.fleet.host_aggregate import HostAggregate, zone_of
from events.fleet.request import RequestSpec
from tests.parts.plain_scheduler.demand import Demand, demand_of
from tests.parts.plain_scheduler.judges import Judges, Question
from tests.parts.plain_scheduler.ranking import Ranking, choose, rank
from tests.parts.plain_scheduler.room import Sieve, sift, with_room


class Request(msgspec.Struct, frozen=True):
    """What is to be scheduled."""

    server_ids: list[str]
    project_id: str
    spec: RequestSpec
    generation: int
    excluded_hosts: list[str]
    seed: int


class NoRoom(Exception):
    """No host for one of the servers: what each judgement left for it."""

    def __init__(self, hosts_total: int, filtered: list[FilterCount], placeable: int) -> None:
        super().__init__(filtered)
        self.hosts_total = hosts_total
        self.filtered = filtered
        self.placeable = placeable


class Fleet:
    """The fleet as the view shows it, with what this decision has changed so far."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._hosts: dict[str, Host] = {}
        self._placed: dict[str, str | None] = {}
        self.aggregates: Mapping[str, HostAggregate] = view.all("host_aggregate")

    def hosts(self) -> list[Host]:
        """All hosts that are part of the fleet."""
        known: Mapping[str, Host] = self._view.all("host")
        changed = self._hosts
        if changed:
            return [changed.get(h.host, h) for h in known.values() if not h.deleted]
        return [h for h in known.values() if not h.deleted]

    def host_of(self, server_id: str) -> str | None:
        """The host whose room a server holds."""
        if server_id in self._placed:
            return self._placed[server_id]
        claim: Allocation | None = self._view.get("allocation", server_id)
        return claim.host or None if claim is not None else None

    def fold(self, event: AllocationClaimed | AllocationReleased) -> Host:
        """Go on as after this event; the host as it is then."""
        before = self._hosts.get(event.host) or self._view.get("host", event.host)
        after = evolve(before, event)
        self._hosts[event.host] = after
        claimed = isinstance(event, AllocationClaimed)
        self._placed[event.server_id] = event.host if claimed else None
        return after


def fingerprint(request: Request, judges: Judges) -> str:
    """Hash of all that a decision depends on beside the fleet's state and the seed."""
    told = (request.spec, request.excluded_hosts, request.project_id)
    encoded = msgspec.json.encode(told, order="deterministic")
    return hashlib.sha256(judges.fingerprint + encoded).hexdigest()[:16]


def schedule(fleet: Fleet, request: Request, at: int, judges: Judges) -> list[AllocationClaimed]:
    """A claim for each server, in order. Raises ``NoRoom``."""
    spec = request.spec
    demand = demand_of(spec)
    question = Question(
        spec,
        request.project_id,
        demand.resources,
        fleet.aggregates,
        fleet.host_of,
        judges.policy,
    )
    mark = fingerprint(request, judges)

    @lru_cache(maxsize=1)
    def draw() -> Random:
        return Random(request.seed)

    hosts = fleet.hosts()
    total = len(hosts)
    claims: list[AllocationClaimed] = []
    for number, server_id in enumerate(request.server_ids):
        sieve = Sieve(hosts)
        if not _judge(sieve, number, question, demand, request, judges):
            raise NoRoom(total, sieve.counts, number)
        ranking = rank(sieve.hosts, question, judges, draw)
        winner, others = choose(ranking, judges, draw)
        host = sieve.hosts[winner]
        claim = AllocationClaimed(
            at=at,
            server_id=server_id,
            host=host.host,
            node=host.hypervisor.hostname,
            generation=request.generation,
            project_id=request.project_id,
            user_id=spec.user_id,
            resources=demand.resources,
            availability_zone=zone_of(host.host, fleet.aggregates.values()),
            alternates=[sieve.hosts[i].host for i in others],
            evidence=Evidence(
                hosts_total=total,
                filtered=sieve.counts,
                weighers=[column.scale for column in ranking.columns],
                best=_best(ranking, winner, judges.policy.scores_max),
                tied=ranking.tied,
                seed=request.seed,
                draw=number,
                spec_fingerprint=mark,
            ),
        )
        claims.append(claim)
        after = fleet.fold(claim)
        hosts = list(sieve.hosts)
        hosts[winner] = after
    return claims


def _best(ranking: Ranking, winner: int, count: int) -> list[HostScore]:
    best = ranking.order[:count]
    if winner not in best:
        best.append(winner)
    return [ranking.score(i) for i in best]


def _judge(
    sieve: Sieve,
    number: int,
    question: Question,
    demand: Demand,
    request: Request,
    judges: Judges,
) -> bool:
    """Sieve the hosts for one server; whether any are left.

    From the second server on only what an earlier claim may have changed is judged again.
    """
    spec = request.spec
    if number == 0:
        excluded = frozenset(request.excluded_hosts)
        if not sift(sieve, spec, demand, question.aggregates, excluded):
            return False
    elif not sieve.keep("Capacity", with_room(sieve.hosts, demand.resources)):
        return False
    if spec.forced and spec.requested_host:
        return True
    return all(
        sieve.keep(filter.name, filter.keep(sieve.hosts, question))
        for filter in judges.filters
        if number == 0 or not filter.once
    )

"""The scheduling of one request: sift, filter, weigh, choose, claim; server by server.

Each claim is folded into the fleet at once (by the same ``evolve`` that will fold its fact), so
the next server of the request sees the room that is left. Hosts are judged and weighed as columns
of the table that indexes them (``table.py``): some hundred microseconds at 10,000 hosts.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from random import Random

import msgspec

from commands.decision import View
from commands.fleet.candidates import Candidates
from commands.fleet.demand import Demand, demand_of
from commands.fleet.judges import Judges, Question
from commands.fleet.ranking import Ranking, choose, rank
from commands.fleet.room import Sieve, sift, with_room
from commands.fleet.table import HostTable
from events.fleet.allocation import Allocation, AllocationClaimed, AllocationReleased
from events.fleet.evidence import Evidence, FilterCount, HostScore
from events.fleet.host import Host, evolve
from events.fleet.host_aggregate import zone_among
from events.fleet.request import RequestSpec


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
        self.view = view
        self._hosts: dict[str, Host] = {}
        self._placed: dict[str, str | None] = {}
        self._table: HostTable = view.index("host.table")
        self._table.show(view.changed("host"))

    def hosts(self) -> Candidates:
        """All hosts that are part of the fleet."""
        return Candidates.everyone(self._table)

    def host_of(self, server_id: str) -> str | None:
        """The host whose room a server holds."""
        if server_id in self._placed:
            return self._placed[server_id]
        claim: Allocation | None = self.view.get("allocation", server_id)
        return claim.host or None if claim is not None else None

    def fold(self, event: AllocationClaimed | AllocationReleased) -> Host:
        """Go on as after this event; the host as it is then."""
        before = self._hosts.get(event.host) or self.view.get("host", event.host)
        after = evolve(before, event)
        self._hosts[event.host] = after
        self._table.show_also(event.host, after)
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
        fleet.view,
        fleet.host_of,
        judges.policy,
    )
    mark = fingerprint(request, judges)

    @lru_cache(maxsize=1)
    def draw() -> Random:
        return Random(request.seed)

    left = fleet.hosts()
    total = len(left)
    claims: list[AllocationClaimed] = []
    for number, server_id in enumerate(request.server_ids):
        sieve = Sieve(left)
        if not _judge(sieve, number, question, demand, request, judges):
            raise NoRoom(total, sieve.counts, number)
        left = sieve.candidates
        ranking = rank(left, question, judges, draw)
        winner, others = choose(ranking, judges, draw)
        host = left.host(winner)
        claim = AllocationClaimed(
            at=at,
            server_id=server_id,
            host=host.host,
            node=host.hypervisor.hostname,
            generation=request.generation,
            project_id=request.project_id,
            user_id=spec.user_id,
            resources=demand.resources,
            availability_zone=zone_among(question.aggregates_of(host)),
            alternates=[left.host(place).host for place in others],
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
        fleet.fold(claim)
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
        if not sift(sieve, question, demand, request.excluded_hosts):
            return False
    elif not sieve.keep("Capacity", with_room(sieve.candidates, demand.resources)):
        return False
    if spec.forced and spec.requested_host:
        return True
    return all(
        sieve.keep(filter.name, filter.keep(sieve.candidates, question))
        for filter in judges.filters
        if number == 0 or not filter.once
    )

"""Place servers on hosts: all of a request, or none.

What a request is told does not change when it is asked again: a server that was placed, or
refused, at this generation or a newer one is not decided again. An older claim of the same server
is given back in the same decision, whatever its outcome: its attempt is over.

The evidence goes into the events; with the recorded seed the same question gives the same host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from commands.decision import (
    Decision,
    Index,
    View,
    accept,
    decides_on_view,
    register_index,
)
from commands.fleet.judges import Judges, enabled
from commands.lookup import lookup
from events.fleet.allocation import Allocation, AllocationReleased, AllocationWithheld
from events.fleet.host import Host
from events.fleet.request import SHARD, RequestSpec
from events.fleet.shard import EMPTY, AllocationRefused, ShardState
from events.message import Command, Generation, Large, ProjectId, ServerId

if TYPE_CHECKING:
    from commands.fleet.scheduling import NoRoom, Request


class PlaceServers(Command, frozen=True, kw_only=True):
    """Find a host for each of these servers, or for none."""

    server_ids: Annotated[list[str], "UUIDs of the servers; all are alike."]
    project_id: ProjectId
    spec: Annotated[RequestSpec, "What each server needs."]
    generation: Generation
    excluded_hosts: Annotated[list[str], "Hosts not to be used, e.g. because they failed."] = []
    seed: Annotated[Large, "Seed of every random choice."]


class ReleaseAllocation(Command, frozen=True, kw_only=True):
    """Give a server's room back."""

    server_id: ServerId
    host: Annotated[str, "The host it is to be given back on; empty: wherever it is."] = ""
    generation: Generation
    unconfirmed: Annotated[bool, "The host has not said that nothing of the guest is left."] = False


def _table(states: Mapping[str, Host]) -> Index:
    from commands.fleet.table import HostTable

    return HostTable(states)


register_index("host.table", "host", _table)

withheld_on = lookup(
    "allocation.withheld", "allocation", lambda claim: (claim.host,) if claim.withheld else ()
)
"""Servers whose room on a host is withheld."""


@decides_on_view(PlaceServers)
def place_servers(
    view: View, command: PlaceServers, at: int, judges: Judges | None = None
) -> Decision:
    """Claim room for each server, or refuse them all. ``judges``: others, for a what-if."""
    # Not at the top: it brings numpy, 0.1 s and 25 MiB, and every process knows this command.
    from commands.fleet.scheduling import Fleet, NoRoom, Request, fingerprint, schedule

    shard: ShardState = view.get("shard", SHARD) or EMPTY
    asked: list[str] = []
    older: list[Allocation] = []
    for server_id in dict.fromkeys(command.server_ids):
        claim: Allocation | None = view.get("allocation", server_id)
        if claim is not None and claim.host:
            if claim.generation >= command.generation:
                continue
            older.append(claim)
        if shard.refused_generation(server_id) >= command.generation:
            return accept()
        asked.append(server_id)
    if not asked:
        return accept()
    fleet = Fleet(view)
    released = [released_by(claim, "replaced", at) for claim in older]
    for event in released:
        fleet.fold(event)
    request = Request(
        asked,
        command.project_id,
        command.spec,
        command.generation,
        command.excluded_hosts,
        command.seed,
    )
    judges = judges or enabled()
    try:
        claimed = schedule(fleet, request, at, judges)
    except NoRoom as none:
        return accept(*released, _refused(request, none, fingerprint(request, judges), at))
    return accept(*released, *claimed)


@decides_on_view(ReleaseAllocation)
def release_allocation(view: View, command: ReleaseAllocation, at: int) -> Decision:
    """Release what is held at that generation or an older one; otherwise nothing is to be done.

    A host that was silent may still start the guest: its room is not another's before it has
    removed that, unless an operator has declared it dead.
    """
    claim: Allocation | None = view.get("allocation", command.server_id)
    if claim is None or not claim.host or claim.generation > command.generation:
        return accept()
    if command.host and command.host != claim.host:
        return accept()
    host: Host | None = view.get("host", claim.host)
    if not command.unconfirmed or host is None or host.forced_down or host.deleted:
        return accept(released_by(claim, "released", at))
    if claim.withheld:
        return accept()
    return accept(
        AllocationWithheld(
            at=at, server_id=claim.server_id, host=claim.host, generation=claim.generation
        )
    )


def released_by(claim: Allocation, reason: str, at: int) -> AllocationReleased:
    """The fact that a claim was given back."""
    return AllocationReleased(
        at=at,
        server_id=claim.server_id,
        host=claim.host,
        generation=claim.generation,
        project_id=claim.project_id,
        resources=claim.resources,
        reason=reason,
    )


def _refused(request: Request, none: NoRoom, mark: str, at: int) -> AllocationRefused:
    return AllocationRefused(
        at=at,
        server_ids=request.server_ids,
        project_id=request.project_id,
        generation=request.generation,
        reason=_reason(none, len(request.server_ids)),
        hosts_total=none.hosts_total,
        filtered=none.filtered,
        placeable=none.placeable,
        seed=request.seed,
        spec_fingerprint=mark,
    )


def _reason(none: NoRoom, asked: int) -> str:
    if not none.hosts_total:
        return "No valid host was found. There are no compute hosts."
    before = none.filtered[-2].remaining if len(none.filtered) > 1 else none.hosts_total
    last = none.filtered[-1].filter
    sentence = f"No valid host was found. {last} passed none of {before} hosts"
    if none.placeable:
        sentence += f" for server {none.placeable + 1} of {asked}"
    return f"{sentence} ({none.hosts_total} in all)."

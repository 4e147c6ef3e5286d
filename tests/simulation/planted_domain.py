"""Bugs in decisions, reactions and projections.

That reports of older attempts and operations count is not among them: no seed showed it. Another
attempt begins only when the host of the one before has said that it removed the guest, and each
task takes reports of its own kind only, so nothing is left that could say something wrong. The
rule is the second fence behind those two; ``tests/commands/compute`` holds it by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

import commands.compute.boot
import commands.compute.delete
import commands.compute.overdue
import commands.compute.power
import commands.compute.reboot
import commands.compute.reports
import commands.fleet.room
import commands.fleet.scheduling
import commands.identity.project
from commands.compute import create
from commands.compute.boot import BUILDING, build_removed
from commands.decision import View
from commands.fleet.candidates import Candidates
from commands.fleet.scheduling import Fleet
from commands.identity.rules import Part
from events.aggregate import AGGREGATES
from events.compute.flavor import FlavorSnapshot
from events.compute.project import Project
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.allocation import AllocationClaimed, AllocationReleased
from events.fleet.host import Host
from events.fleet.request import Resources
from events.identity.domain import DomainDeleted
from events.message import Event
from handlers.reaction import REACTIONS
from projections.fold import Fold
from tests.simulation.planting import planted, replaced, swapped


@planted("allocation", workload="boots", faults=())
def missed_release() -> Iterator[None]:
    """A deleted server's room is not given back."""
    with replaced(REACTIONS, f.ServerDeleted.type_name, []):
        yield


@planted("withheld", workload="deletes", faults=("slow", "crash"))
def room_withheld_for_ever() -> Iterator[None]:
    """What was withheld while its host was silent is not given back once the host has spoken."""
    with replaced(REACTIONS, f.GuestRemovalConfirmed.type_name, []):
        yield


@planted("allocation", workload="deletes", faults=())
def late_claim_kept() -> Iterator[None]:
    """A host found for a server that is gone keeps its room."""
    with replaced(REACTIONS, f.HostSelectionDiscarded.type_name, []):
        yield


@planted("allocation", workload="batches", faults=())
def claims_blind_to_each_other() -> Iterator[None]:
    """The servers of one request are placed as if each were alone."""

    def fold(self: Fleet, event: AllocationClaimed | AllocationReleased) -> Host:
        host: Host = self.view.get("host", event.host)
        return host

    with swapped(Fleet, "fold", fold):
        yield


@planted("allocation", workload="batches", faults=())
def overcommitted_host() -> Iterator[None]:
    """A host takes one server more than fits."""
    right = commands.fleet.room.with_room

    def generous(candidates: Candidates, resources: Resources) -> Candidates:
        none = msgspec.structs.replace(resources, ram_mib=0, vcpus=0, disk_gib=0)
        return right(candidates, none)

    with swapped(commands.fleet.room, "with_room", generous):
        yield


@planted("quota", workload="quota", faults=())
def quota_not_counted() -> Iterator[None]:
    """All of a request's servers are accepted when one fits."""
    right = create._fitting

    def fitting(project: Project, flavor: FlavorSnapshot, wanted: int) -> int:
        return wanted if right(project, flavor, 1) else 0

    with swapped(create, "_fitting", fitting):
        yield


@planted("quota", workload="quota", faults=())
def quota_not_returned() -> Iterator[None]:
    """A deleted server's quota stays taken."""
    right = AGGREGATES["project"]

    def evolve(project: Any, event: Event) -> Any:
        return project if isinstance(event, f.ServerDeleted) else right.evolve(project, event)

    with replaced(AGGREGATES, "project", msgspec.structs.replace(right, evolve=evolve)):
        yield


@planted("deadline", workload="power", faults=("lost", "slow"))
def deadline_without_a_way_out() -> Iterator[None]:
    """Nobody ends a stop that its host does not answer."""
    right = commands.compute.overdue.way_out

    def wrong(server: Server, task: str, at: int, reason: str) -> list[Event]:
        return [] if task in ("powering-off", "networking") else right(server, task, at, reason)

    with swapped(commands.compute.overdue, "way_out", wrong):
        yield


@planted("projection", workload="boots", faults=())
def projector_forgets_rows() -> Iterator[None]:
    """A projector that starts anew does not load the states it goes on from."""

    def needs(self: Fold, reads: Sequence[Any]) -> dict[str, list[str]]:
        return {}

    with swapped(Fold, "needs", needs):
        yield


@planted("guest", workload="deletes", faults=("lost", "slow", "topics"))
def stray_left_alone() -> Iterator[None]:
    """A guest of an attempt that was given up is seen, and stays."""
    with replaced(REACTIONS, f.StaleGuestFound.type_name, []):
        yield


@planted("runs twice", workload="slowly", faults=("slow",))
def silent_host_replaced() -> Iterator[None]:
    """A server whose host does not answer is built elsewhere: that host may still start it."""
    right = commands.compute.overdue.way_out

    def wrong(server: Server, task: str, at: int, reason: str) -> list[Event]:
        if task in BUILDING and server.alternates:
            return build_removed(server, at)
        return right(server, task, at, reason)

    with swapped(commands.compute.overdue, "way_out", wrong):
        yield


@planted("orphan", workload="identity", faults=())
def domain_left_full() -> Iterator[None]:
    """A domain is deleted, and what lies in it stays."""
    with replaced(REACTIONS, DomainDeleted.type_name, []):
        yield


@planted("orphan", workload="identity", faults=())
def roles_outlive_their_project() -> Iterator[None]:
    """A project is deleted, and the roles on it stay."""

    def revocations(view: View, at: int, part: Part, id: str) -> Iterator[Event]:
        return iter(())

    with swapped(commands.identity.project, "revocations", revocations):
        yield


@planted("name", workload="identity", faults=())
def names_not_compared() -> Iterator[None]:
    """Nobody looks whether a name is taken."""

    def name_taken(view: View, aggregate: str, name: str, owner: str | None) -> bool:
        return False

    with swapped(commands.identity.project, "name_taken", name_taken):
        yield


@planted("in flight", workload="images", faults=("crash",))
def lease_without_an_end() -> Iterator[None]:
    """An upload whose receiver has died is never given up."""
    right = AGGREGATES["image"]
    wrong = msgspec.structs.replace(right, deadline=lambda image: None)
    with replaced(AGGREGATES, "image", wrong):
        yield

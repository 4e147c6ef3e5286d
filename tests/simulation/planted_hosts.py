"""Bugs on the hosts, in the performer and in performances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import tests.simulation.roles
from commands.compute.boot import BuildGuest, ReportDomainStarted
from handlers.compute.drivers.contract import Driver
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.compute.performing import PERFORMANCES, GuestTask
from handlers.performer.bookmark import Bookmark
from handlers.performer.lanes import Lanes
from handlers.performer.mark import Mark
from handlers.performer.perform import Performance, PieceTask
from handlers.performer.performer import Performer
from handlers.performer.piece import Outcome, Piece
from tests.simulation.planting import planted, replaced, swapped


@planted("unreported", workload="boots", faults=("unavailable",))
def ended_before_reported() -> Iterator[None]:
    """The agent notes that work has ended first, and writes what came of it afterwards."""

    def flush(self: Performer) -> None:
        ended, self._ended = self._ended, []
        for topic, offset in ended:
            self._bookmark.settle(topic, offset)
        self._bookmark.save()
        self._outbox.flush()

    with swapped(Performer, "_flush", flush):
        yield


@planted("unreported", "unattended", workload="boots", faults=("crash", "restart"))
def unfinished_work_forgotten() -> Iterator[None]:
    """The bookmark passes work that is still under way: nobody reports it, or its host is called
    silent first."""

    def begin(self: Bookmark, topic: str, offset: int) -> None:
        self._changed = True

    with swapped(Bookmark, "begin", begin):
        yield


@planted("guest", workload="boots", faults=("failure",))
def reported_before_done() -> Iterator[None]:
    """A guest is called running before it is even defined."""
    right = PERFORMANCES[BuildGuest.type_name]

    def build(work: BuildGuest, task: GuestTask) -> Any:
        task.report(ReportDomainStarted, power_state=1)
        return right.perform(work, task)

    wrong = msgspec.structs.replace(right, perform=build)
    with replaced(PERFORMANCES, BuildGuest.type_name, wrong):
        yield


@planted("unreported", workload="deletes", faults=())
def newer_work_dropped() -> Iterator[None]:
    """The agent performs what came first, whatever is newer."""
    right = Lanes._put

    def put(self: Lanes, piece: Piece, over: list[Piece], called_off: list[Piece]) -> None:
        if piece.key in self._lanes:
            over.append(piece)
        else:
            right(self, piece, over, called_off)

    with swapped(Lanes, "_put", put):
        yield


@planted("done twice", workload="reboots", faults=("failure",))
def effects_repeated() -> Iterator[None]:
    """An agent that starts again does not look whether the reboot that it began took place."""

    def happened(self: PieceTask) -> bool:
        return False

    with swapped(PieceTask, "happened", happened):
        yield


@planted("unmarked", workload="reboots", faults=())
def mark_not_written() -> Iterator[None]:
    """An order that must be done once begins without a mark."""

    def known(self: Performance) -> Outcome | None:
        return None

    with swapped(Performance, "_known", known):
        yield


@planted("done twice", workload="reboots", faults=("crash", "unavailable"))
def outcome_not_marked() -> Iterator[None]:
    """What an order came to is not kept, and neither is that it began."""

    def mark_of(self: SimulatedDriver, server_id: str) -> Mark | None:
        return None

    with swapped(SimulatedDriver, "mark", mark_of):
        yield


@planted("foreign", workload="boots", faults=("another log",))
def any_log_obeyed() -> Iterator[None]:
    """A host that holds guests serves whatever log its settings name."""

    def pin(folder: Path, host: str, identity: str, driver: Driver) -> None:
        pass

    with swapped(tests.simulation.roles, "pin", pin):
        yield

"""A bug for each rule that no other bug breaks first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import commands.compute.boot
import commands.compute.delete
import commands.compute.power
import commands.compute.power_state
import handlers.decider.loop
import tests.simulation.world
from api.image.store import ImageStore
from commands.compute import checks, reports
from commands.compute.guest import GuestReport
from commands.compute.power_state import ReportPowerState, _stale_guest
from commands.decision import Decision, View, accept
from events.compute.server import Server
from events.compute.unknown_guest import UnknownGuest
from events.log.contract import Record
from events.message import Context
from handlers.decider import Decider
from handlers.decider.attempt import Attempt
from handlers.decider.deadlines import Key, Overdue
from handlers.decider.inputs import Input, from_overdue
from handlers.decider.ownership import Ownership
from tests.simulation.planting import planted, swapped


@planted("disk", workload="boots", faults=("restored",))
def unknown_guests_removed() -> Iterator[None]:
    """A guest that the log does not know counts as one that is over."""

    def unknown(
        view: View, known: UnknownGuest | None, report: ReportPowerState, reason: str, at: int
    ) -> Decision:
        return accept(_stale_guest(report, report.operation, True, at))

    with swapped(commands.compute.power_state, "_unknown", unknown):
        yield


@planted("wish", workload="power", faults=())
def accepted_and_forgotten() -> Iterator[None]:
    """A start or stop that comes while another operation is under way is accepted, and lost."""

    def in_state(
        server: Server,
        action: str,
        vm_states: Collection[str] | None,
        task_states: Collection[str | None] | None = checks.NO_TASK,
        launched: bool = True,
    ) -> Decision | None:
        if server.task_state is not None:
            return accept()
        return checks.in_state(server, action, vm_states, task_states, launched)

    with swapped(commands.compute.power, "in_state", in_state):
        yield


@planted("transition", workload="power", faults=())
def started_while_it_stops() -> Iterator[None]:
    """A start or stop is accepted although another operation is under way."""

    def in_state(
        server: Server,
        action: str,
        vm_states: Collection[str] | None,
        task_states: Collection[str | None] | None = checks.NO_TASK,
        launched: bool = True,
    ) -> Decision | None:
        return checks.in_state(server, action, vm_states, None, launched)

    with swapped(commands.compute.power, "in_state", in_state):
        yield


@planted("request", workload="power", faults=("slow",))
def overdue_in_no_request() -> Iterator[None]:
    """What ends by its deadline is not in the request that asked for it."""

    def overdue_alone(overdue: Overdue, envelope: Context | None, now: int) -> Input:
        return from_overdue(overdue, None, now)

    with swapped(handlers.decider.loop, "from_overdue", overdue_alone):
        yield


@planted("sequence", workload="boots", faults=())
def facts_of_a_batch_numbered_alike() -> Iterator[None]:
    """The facts about one server are numbered on from what is committed, not from what the batch
    has led to."""

    def sequence(self: Attempt, key: Key) -> int:
        known = self.sequences.get(key, self._draft.base.sequences.get(key, 0))
        self.sequences[key] = known + 1
        return known + 1

    with swapped(Attempt, "_sequence", sequence):
        yield


@planted("image", workload="images", faults=())
def shared_data_removed() -> Iterator[None]:
    """Data goes with the first of the images that share it."""
    right = ImageStore._drop

    def drop(self: ImageStore, image_id: str, chosen: Callable[[str], bool]) -> None:
        folder = self._references / image_id
        references = list(folder.iterdir()) if folder.is_dir() else []
        right(self, image_id, chosen)
        for reference in references:
            if not reference.exists():
                self.path(reference.name.partition(".")[2]).unlink(missing_ok=True)

    with swapped(ImageStore, "_drop", drop):
        yield


@planted("busy", workload="boots", faults=())
def decider_never_waits() -> Iterator[None]:
    """A decider that has nothing to do asks the log at once again. Other runs of this workload take
    a quarter of the steps that are allowed here."""

    def patience(self: Decider, wait_s: float) -> float:
        return 0.0

    few = swapped(tests.simulation.world, "STEPS_MAX", 50_000)
    with few, swapped(Decider, "_patience", patience):
        yield


@planted("defect", workload="deletes", faults=("duplicate",))
def reports_about_nothing_raise() -> Iterator[None]:
    """Nobody looks whether the server of a report is still there."""

    def stale(server: Server | None, report: GuestReport, at: int, *tasks: str) -> Decision | None:
        assert server is not None
        wrong = server.host != report.host or server.operation != report.operation
        late = bool(tasks) and server.task_state not in tasks
        return reports.ignored(report, at, "it does not count") if wrong or late else None

    in_boot = swapped(commands.compute.boot, "stale", stale)
    with in_boot, swapped(commands.compute.delete, "stale", stale):
        yield


@planted("died", workload="boots", faults=("restored", "restart"))
def foreign_journal_not_caught() -> Iterator[None]:
    """A partition whose journal does not go on from its snapshot ends the process."""

    def fold(self: Ownership, records: Sequence[Record]) -> None:
        for record in records:
            owned = self._reading.get(record.source)
            if owned is None:
                continue
            owned.partition.fold(record)
            if owned.journal is not None and record.offset >= owned.journal.term:
                del self._reading[owned.journal_key]
                self._find(owned)
        if not self._reading:
            self._stop_reading()

    with swapped(Ownership, "_fold", fold):
        yield

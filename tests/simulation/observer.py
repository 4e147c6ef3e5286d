"""The invariants, checked at each write: what the log may hold, and in which order.

The observer folds every event once, by itself, and compares with plain sums of its own. It sees
each append whole, the moment it is written. It is told when a guest starts to run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from commands.compute import limits
from commands.compute.guest import GuestReport
from commands.compute.overdue import SILENT, UNPLACED
from events import topics
from events.aggregate import AGGREGATES, folds_of
from events.compute.project import Project
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.allocation import AllocationClaimed, AllocationReleased
from events.fleet.host import Host
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU
from events.fleet.request import Resources
from events.log.contract import Record
from events.log.records import Codec, chain_hash, control_hash, stamp_of
from events.log.terms import Terms, begins_term, is_control
from events.message import Event
from events.outcome import CommandFailed, Reply
from handlers.decider.marks import Marks, marks_of
from tests.simulation.arrivals import AGAIN, Arrivals
from tests.simulation.forgeries import meant_to_fail
from tests.simulation.line import REFUSED, Line
from tests.simulation.transitions import TRANSITIONS, unlawful

OVERDUE = 300 * limits.SECOND
"""By how much an operation may outlive its deadline while deciders come and go."""

GRACE = 90 * limits.SECOND
"""After all is well again: the longest that a healthy host takes, a deaf guest's 60 s and more."""

Key = tuple[str, str]
Complain = Callable[..., None]
Unread = Callable[[tuple[str, int], int], Iterable[Record]]
"""``unread(source, offset)`` gives the records of a partition from there on."""

UNASKED = (
    f.GuestHalted,
    f.PowerStateObserved,
    f.OperationNumberRaised,
    f.GuestAdopted,
)
"""Facts that a host found by itself."""

TRACED = frozenset(TRANSITIONS) - {fact.type_name for fact in UNASKED}
"""Facts that are steps of what somebody asked for."""


class Observer:
    """Folds what is written. ``complain(kind, text, subject)`` is told of each violation."""

    def __init__(self, codec: Codec, complain: Complain, unread: Unread) -> None:
        self._codec = codec
        self._complain = complain
        self.unread = unread
        self.lines: dict[tuple[str, int], Line] = {}
        self.states: dict[Key, Any] = {}
        self.sequences: dict[Key, int] = {}
        self.usage: dict[str, dict[str, Resources]] = {}
        self.held: dict[str, dict[str, Resources]] = {}
        self.answers: dict[str, Reply] = {}
        self.arrivals = Arrivals()
        self.reported: set[str] = set()
        """Ids of the work of hosts that reports followed from."""
        self.events = self.void = 0
        self._terms = Terms()
        self._began: dict[tuple[str, int], int] = {}
        self._appended: dict[tuple[str, int], Marks] = {}  # of the append that is looked at
        self.facts: Counter[str] = Counter()
        self.healed_at: int | None = None
        self.deadlines: dict[str, int] = {}
        self.hypervisors: dict[str, Any] = {}
        self.excused = 0
        """For so long (microseconds) nobody could decide anything."""
        self.ahead = 0  # by so much (microseconds) a clock was ahead, and so may ``at`` be, since
        self._unasked: set[str] = set()  # stopped since they ran although nobody wanted that
        self.forgiven: set[str] = set()
        """Servers whose work may be lost: the topic of their host was deleted."""
        self.blurred: set[str] = set()
        """Servers of which a restored log has lost something: hosts may know better."""
        self.told: dict[str, list[tuple[int, str]]] = {}
        """By server, position and type of each fact about it."""
        self.unwanted: set[str] = set()  # servers whose deletion was asked for
        self.booted: set[tuple[str, int]] = set()  # server and generation of guests that ran
        self.forged: set[str] = set()  # ids of what was said in the name of another host

    def without_history(self) -> Observer:
        """Return one that has seen nothing yet, of the same site."""
        fresh = Observer(self._codec, self._complain, self.unread)
        fresh.hypervisors, fresh.forgiven = self.hypervisors, self.forgiven
        fresh.blurred, fresh.arrivals.arrived = self.blurred, self.arrivals.arrived
        fresh.forged = self.forged
        fresh.excused, fresh.ahead, fresh.facts = self.excused, self.ahead, self.facts
        return fresh

    # ------------------------------------------------------------ what came

    def wrote(self, records: Iterable[Record]) -> None:
        """One append."""
        records = list(records)
        self._appended = {one.source: marks for one in records if (marks := marks_of(one))}
        for record in records:
            self.arrivals.wrote(record)
            self.reported.add(record.headers.get("ce_causationid", ""))
            if record.topic.endswith(".events"):
                self._journal(record)
            elif record.topic == topics.REPLIES:
                self._reply(record)

    def _journal(self, record: Record) -> None:
        """A record of a journal; one that an old owner wrote late is void."""
        if not self._terms.admits(record):
            self.void += 1
            return
        line = self.lines.setdefault(record.source, Line())
        if begins_term(record):
            self._began[record.source] = record.timestamp
        if is_control(record):
            line.hash = control_hash(line.hash, record)
            for sentence in line.refuse(self._codec.decode(record.value)):
                self._complain("decided twice", sentence)
        else:
            self._event(record, line)
        marks = marks_of(record)
        if marks is not None:
            self._marked(line, record, marks)

    def _marked(self, line: Line, record: Record, marks: Marks) -> None:
        """An owner goes forward in its inputs."""
        for topic, offset in marks.inputs.items():
            if offset < line.marks.inputs.get(topic, 0):
                self._complain("marks", f"{record.source} went back in {topic} to {offset}")
        for journal, number in marks.taken.items():
            if number <= line.marks.taken.get(journal, (0, -1)):
                self._complain("taken twice", f"{record.source} took {number} of {journal} again")
        line.marks = line.marks.after(marks)

    def _event(self, record: Record, line: Line) -> None:
        event = self._codec.decode(record.value)
        assert isinstance(event, Event)
        self.events += 1
        self.facts[event.type_name] += 1
        if event.at < line.at:
            self._complain("time", f"{event.type_name} of {record.source} is before the last one")
        line.at = max(line.at, event.at)
        stamp = stamp_of(record)
        if stamp.position != line.position + 1 or stamp.previous_hash != line.hash:
            self._complain(
                "chain",
                f"event {stamp.position} follows event {line.position} of {record.source}, "
                f"with {'the right' if stamp.previous_hash == line.hash else 'another'} hash",
            )
        line.position = stamp.position
        line.hash = chain_hash(record.key, record.value, record.headers)
        self._once(line, record, event, stamp.position)
        self._asked_for(record, event)
        if getattr(event, "reason", "") == SILENT:
            self._heard(line, record, event)
        if isinstance(event, CommandFailed) and not meant_to_fail(event, self.forged):
            self._complain("defect", f"deciding {event.command} raised {event.reason}")
        if self.healed_at is not None and record.timestamp > self.healed_at + GRACE:
            self._attended(event)
        if event.folds:
            self._sequence(event, stamp.sequence)
        self._fold(event, record.partition)
        self.arrivals.follow(record, event, self.states.get(event.subject) if event.folds else None)

    def _once(self, line: Line, record: Record, event: Event, position: int) -> None:
        """All facts of one command come from one decision. A host may say once more what it said
        before: that is ignored, or one of ``AGAIN``, which are facts as well."""
        if isinstance(event, AGAIN):
            return
        cause = record.headers.get("ce_causationid", "")
        subject = event.subject[1] if event.folds else ""
        fact = (event.type_name, *(str(getattr(event, field)) for _, field in event.folds))
        last, facts = line.causes.get(cause, (position - 1, set()))
        apart = last != position - 1 or fact in facts
        if cause and (apart or REFUSED in facts):
            self._complain("decided twice", f"{cause} led to {fact} as well as {facts}", subject)
        line.causes[cause] = (position, {*facts, fact})

    def _asked_for(self, record: Record, event: Event) -> None:
        """Each step of what a user asked for names the request."""
        if not event.folds:
            return
        id = event.subject[1]
        if isinstance(event, f.StopRequested):
            (self._unasked.add if event.unasked else self._unasked.discard)(id)
        stopping = isinstance(event, f.StopRequested | f.ServerStopped | f.StopFailed)
        if event.type_name not in TRACED or (stopping and id in self._unasked):
            return
        if not record.headers.get("ce_requestid"):
            self._complain("request", f"{event.type_name} is in no request", id)

    def _heard(self, line: Line, record: Record, event: Event) -> None:
        """No host is called silent whose report lay in the log when the owner's term began."""
        source = (topics.reports(record.topic.removesuffix(".events")), record.partition)
        began = self._began.get(record.source, 0)
        server: Server = self.states["server", event.subject[1]]
        marks = self._appended.get(record.source, line.marks)
        taken = marks.inputs.get(source[0], line.marks.inputs.get(source[0], 0))
        for report in self.unread(source, taken):
            said = self._codec.decode(report.value)
            same = (server.server_id, server.generation, server.operation)
            if report.timestamp >= began or not isinstance(said, GuestReport):
                continue
            if (said.server_id, said.generation, said.operation) == same:
                self._complain(
                    "unheard", f"{event.type_name}, and {said.type_name} lies there", same[0]
                )

    def _sequence(self, event: Event, sequence: int) -> None:
        key = event.subject
        before = self.states.get(key)
        begins = before is None or AGGREGATES[key[0]].gone(before)
        expected = 1 if begins else self.sequences.get(key, 0) + 1
        if sequence != expected:
            text = f"{event.type_name} is number {sequence}, not {expected}"
            self._complain("sequence", text, key[1])
        self.sequences[key] = sequence

    def _attended(self, event: Event) -> None:
        """In good health work is never lost: no host is silent, no scheduler either."""
        silent = getattr(event, "reason", "") in (SILENT, UNPLACED)
        if silent or getattr(event, "host_silent", False):
            id = event.subject[1]
            if id not in self.forgiven:
                self._complain("unattended", f"{event.type_name}: nobody did the work", id)

    def _reply(self, record: Record) -> None:
        reply = self._codec.decode(record.value)
        assert isinstance(reply, Reply)
        known = self.answers.setdefault(reply.command_id, reply)
        if known != reply:
            self._complain("answered twice", f"{reply.command_id}: {known}, then {reply}")
        line = self.lines.setdefault((reply.topic, reply.partition), Line())
        if reply.position > line.position:
            self._complain(
                "lost",
                f"the answer to {reply.command_id} names event {reply.position}, which "
                f"is not there: the last one is {line.position}",
            )

    # ------------------------------------------------------------ the fold

    def _fold(self, event: Event, partition: int) -> None:
        for number, (aggregate, id) in enumerate(folds_of(event)):
            key = (aggregate.name, id)
            before = self.states.get(key)
            if before is not None and aggregate.gone(before) and aggregate.name != "server":
                before = None
            after = aggregate.evolve(before, event)
            self.states[key] = after
            if aggregate.name == "server":
                self._note_deadline(id, after)
                position = self.lines[topics.events("compute"), partition].position
                self.told.setdefault(id, []).append((position, event.type_name))
                if isinstance(event, f.DeletionRequested):
                    self.unwanted.add(id)
                if isinstance(event, f.DomainStarted) and after is not None:
                    self.booted.add((id, after.generation))
            if number == 0 and aggregate.name == "server":
                wrong = unlawful(event.type_name, before, after)
                if wrong is not None:
                    self._complain("transition", wrong, id)
        self._quota(event)
        self._allocations(event)

    def _note_deadline(self, id: str, server: Server | None) -> None:
        if server is None or server.task_state is None:
            self.deadlines.pop(id, None)
        elif server.deadline is None:
            self._complain("deadline", f"{id} is {server.task_state} without a deadline", id)
        else:
            self.deadlines[id] = server.deadline

    def look_at_the_clock(self, now: int) -> None:
        """No task_state outlives its deadline."""
        for id, deadline in self.deadlines.items():
            if now > deadline + OVERDUE + self.excused:
                self._complain(
                    "deadline", f"{id} is {(now - deadline) / 1e6:.0f} s past its deadline", id
                )

    def _quota(self, event: Event) -> None:
        if isinstance(event, f.ServerCreated):
            used = self.usage.setdefault(event.project_id, {})
            used[event.server_id] = Resources(
                vcpus=event.flavor.vcpus, ram_mib=event.flavor.ram_mib, disk_gib=0
            )
        elif isinstance(event, f.ServerDeleted):
            self.usage.get(event.project_id, {}).pop(event.server_id, None)
        else:
            return
        project: Project = self.states["project", event.project_id]
        used = self.usage[event.project_id]
        summed = (
            len(used),
            sum(one.vcpus for one in used.values()),
            sum(one.ram_mib for one in used.values()),
        )
        counted = (project.instances, project.cores, project.ram_mib)
        if counted != summed:
            self._complain(
                "quota",
                f"{event.project_id} counts {counted}, its servers are {summed}",
                event.server_id,
            )
        if isinstance(event, f.ServerCreated):
            for name, amount in zip(("instances", "cores", "ram"), summed, strict=True):
                limit = project.limits.get(name, limits.QUOTAS[name])
                if 0 <= limit < amount:
                    self._complain(
                        "quota",
                        f"{event.project_id} has {amount} {name} of {limit}",
                        event.server_id,
                    )

    def _allocations(self, event: Event) -> None:
        if isinstance(event, AllocationClaimed):
            for other, servers in self.held.items():
                if event.server_id in servers:
                    self._complain(
                        "allocation",
                        f"claimed on {event.host} while it holds room on {other}",
                        event.server_id,
                    )
            self.held.setdefault(event.host, {})[event.server_id] = event.resources
        elif isinstance(event, AllocationReleased):
            if self.held.get(event.host, {}).pop(event.server_id, None) is None:
                self._complain("allocation", "released what was not held", event.server_id)
        else:
            return
        host: Host = self.states["host", event.host]
        held = self.held[event.host].values()
        for name, used, amount in (
            (VCPU, host.used_vcpus, sum(one.vcpus for one in held)),
            (MEMORY_MB, host.used_ram_mib, sum(one.ram_mib for one in held)),
            (DISK_GB, host.used_disk_gib, sum(one.disk_gib for one in held)),
        ):
            if used != amount:
                text = f"{event.host} counts {used} {name}, its servers hold {amount}"
                self._complain("allocation", text)
            if isinstance(event, AllocationClaimed) and amount > host.inventories[name].capacity:
                self._complain(
                    "allocation",
                    f"{event.host} gave away {amount} of {host.inventories[name].capacity} {name}",
                    event.server_id,
                )

    # -------------------------------------------------------------- guests

    def guest_runs(self, host: str, server_id: str) -> None:
        """A guest is running there now."""
        others = [
            name
            for name, hypervisor in self.hypervisors.items()
            if name != host
            and server_id in hypervisor.guests
            and hypervisor.guests[server_id].state == 1
        ]
        # A guest that a restored log does not know is left alone, and its server built once more.
        if others and server_id not in self.blurred:
            self._complain("runs twice", f"runs on {host} and on {others}", server_id)

    def guest_removed(self, host: str, server_id: str, generation: int) -> None:
        """A guest's disks are removed: only on the knowledge that they are wanted no more."""
        server = self.states.get(("server", server_id))
        if server is None:
            text = f"{host} removes a guest that the log does not know"
            return self._complain("disk", text, server_id)
        # A removal that failed may be done after all, when its host looks at it once more.
        asked = server.task_state == "deleting" or server_id in self.unwanted
        over = server.vm_state == "deleted" or asked
        placed = (server.host, server.generation) == (host, generation)
        if placed and not over and (server_id, generation) in self.booted:
            self._complain("disk", f"{host} removes the disks of a {server.vm_state}", server_id)

    # -------------------------------------------------------------- queries

    def servers(self) -> dict[str, Any]:
        """All servers that are not deleted."""
        return {
            id: state
            for (name, id), state in self.states.items()
            if name == "server" and state is not None and state.vm_state != "deleted"
        }

"""What goes wrong: a list of kinds, any of which may be on in a run.

Each kind is asked at the places where it can strike (``on_log``, ``on_step``) or comes by
itself from time to time (``visit``). How often is drawn for each run. ``heal`` ends all of it:
what must be true at rest is looked at afterwards.

Not here: storage that hosts share, which no driver has; the death of one thread, since threads are
tasks here and what one raises ends its process; commands that the log drops unread, which nobody
can ask for again.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from events.log.contract import Outgoing
from events.log.memory import Crash, Fault, Operation
from handlers.compute.drivers.contract import (
    DiskFull,
    DriverError,
    HypervisorUnavailable,
    LifecycleEvent,
    PowerState,
)
from handlers.compute.drivers.simulated_faults import Fault as StepFault
from tests.simulation.builds import Builds
from tests.simulation.disasters import DISASTERS
from tests.simulation.fault_kind import WRITES, FaultKind
from tests.simulation.forging import Forged
from tests.simulation.kernel import SECOND
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Crashes(FaultKind):
    """kill -9, before or after any write, or anywhere else in a process."""

    name = "crash"
    rates = (0.0005, 0.01)

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        if process.name.startswith("client") or not self.hits(operation.name):
            return None
        fault = Fault.CRASH
        if operation.name in WRITES and self.rng.random() < 0.5:
            fault = Fault.CRASH_AFTER
        self.said(f"{process.name}: {fault.value} ({operation.name})")
        self.world.restart_later(process, self.rng.choice((0.1, 2.0, 10.0, 30.0)))
        return fault

    def on_step(self, process: Process, step: str, when: str) -> StepFault | None:
        if not self.hits():
            return None
        self.said(f"{process.name} {when} {step}")
        self.world.restart_later(process, self.rng.choice((0.1, 2.0, 30.0, 300.0)))
        raise Crash(process.name)


class Duplicates(FaultKind):
    """A client's or a host's append that happens twice, at once or a while later."""

    name = "duplicate"
    rates = (0.05, 0.4)
    every_s = 3.0
    growth = 1.1
    later_s = 60.0
    """Senders try again for less long."""

    def visit(self) -> None:
        since = self.world.kernel.now - self.later_s * SECOND
        recent = [
            record
            for record in self.world.cluster.written[-200:]
            if record.headers.get("ce_replyto")
            and record.topic.endswith(".commands")
            and record.timestamp > since
        ]
        if recent:
            record = self.rng.choice(recent)
            self.said(f"{record.headers['ce_id']}, later")
            again = Outgoing(record.topic, record.key, record.value, record.headers)
            self.world.cluster.write(self.world.cluster.check([again]))

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        if operation.name != "append" or not self.hits():
            return None
        self.said(process.name)
        return Fault.DUPLICATE


class Zombies(FaultKind):
    """A process stopped past its session anywhere, then continued: SIGSTOP, a long GC …"""

    name = "zombie"
    rates = (0.0005, 0.005)

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        if not process.name.startswith("client") and self.hits(operation.name):
            self._stop(process, operation.name)
        return None

    def on_step(self, process: Process, step: str, when: str) -> StepFault | None:
        if self.hits():
            self._stop(process, f"{step} ({when})")
        return None

    def _stop(self, process: Process, where: str) -> None:
        seconds = self.rng.choice((7.0, 20.0, 90.0))
        self.said(f"{process.name} for {seconds} s at {where}")
        process.freeze()
        if self.world.deciders == [process]:  # nobody else can pass a deadline meanwhile
            self.world.observer.excused += int(seconds * SECOND)
        incarnation = process.incarnation
        self.world.kernel.after(
            seconds, lambda: process.thaw() if process.incarnation == incarnation else None
        )
        self.world.kernel.give_way()


class Delays(FaultKind):
    """A process that gets no CPU for a while, within its session."""

    name = "delay"
    rates = (0.002, 0.03)

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        if self.hits():
            seconds = self.rng.choice((0.01, 0.1, 1.0, 5.0))
            self.said(f"{process.name} for {seconds} s before {operation.name}")
            process.pause(seconds)
        return None

    def on_step(self, process: Process, step: str, when: str) -> StepFault | None:
        if self.hits():
            self.said(f"{process.name} at {step}")
            process.pause(self.rng.choice((0.1, 1.0, 5.0)))
        return None


class Unavailable(FaultKind):
    """The log refuses, or its answer is lost; sometimes it is away for everyone."""

    name = "unavailable"
    rates = (0.001, 0.02)
    every_s = 15.0
    away_until = 0

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        if self.world.kernel.now < self.away_until:
            return Fault.UNAVAILABLE
        if operation.name not in (*WRITES, "poll", "ends", "reader.poll"):
            return None
        if not self.hits(operation.name):
            return None
        lost = operation.name in WRITES and self.rng.random() < 0.6
        self.said(f"{process.name} {operation.name}{', the answer' if lost else ''}")
        return Fault.UNAVAILABLE_AFTER if lost else Fault.UNAVAILABLE

    def visit(self) -> None:
        seconds = self.rng.choice((1, 5, 12))
        self.said(f"away for {seconds} s")
        self.away_until = self.world.kernel.now + seconds * SECOND


class Refused(FaultKind):
    """The log refuses a write for a reason that the contract has no name for: a database that
    became read-only, a statement that it cannot take."""

    name = "refused"
    rates = (0.001, 0.02)

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        if operation.name not in ("commit", "begin_term") or not self.hits(operation.name):
            return None
        self.said(f"{process.name} {operation.name}")
        return Fault.REFUSED


class SlowHosts(FaultKind):
    """A host takes seconds, or minutes, for each step or for some; it may stay so."""

    name = "slow"
    growth = 1.4
    every_s = 5.0
    steps_s: tuple[float, ...] = (0.0, 1.0, 20.0, 150.0, 400.0, 700.0)
    some = ("ensure_image", "ensure_disks", "ensure_running", "ensure_running")

    def visit(self) -> None:
        machine = self.rng.choice(self.world.machines)
        machine.was_slow = True
        machine.slow_s = self.rng.choice(self.steps_s)
        machine.slow_step = self.rng.choice(self.some) if self.rng.random() < 0.5 else ""
        self.said(f"{machine.host}: {machine.slow_s} s {machine.slow_step or 'a step'}")


class LostHosts(FaultKind):
    """A machine loses its power; it comes back, with all guests off, or much later."""

    name = "lost"
    every_s = 12.0

    def visit(self) -> None:
        number = self.rng.randrange(len(self.world.agents))
        process = self.world.agents[number]
        if not process.alive:
            return
        seconds = self.rng.choice((5.0, 30.0, 200.0, 900.0))
        self.said(f"{process.name} for {seconds} s")
        process.crash()
        for machine in self.world.machines_of[number]:
            machine.power_cut()
        self.world.restart_later(process, seconds)


class StepFailures(FaultKind):
    """A driver's step fails, before or after its effect, for good or for now."""

    name = "failure"
    rates = (0.005, 0.08)

    def on_step(self, process: Process, step: str, when: str) -> StepFault | None:
        if not self.hits():
            return None
        error: DriverError = self.rng.choice(
            (
                DriverError("The step failed."),
                DiskFull("No space left on device."),
                HypervisorUnavailable("The hypervisor does not answer."),
            )
        )
        self.said(f"{process.name} {when} {step}: {type(error).__name__}")
        return StepFault(step=step, error=error)


class ClockJumps(FaultKind):
    """A machine's wall clock jumps, and stays wrong."""

    name = "clock"
    every_s = 6.0

    def visit(self) -> None:
        process = self.rng.choice([*self.world.deciders, *self.world.agents, *self.world.apis])
        process.skew = int(self.rng.choice((-90.0, -5.0, 0.0, 0.5, 30.0, 90.0)) * SECOND)
        self.said(f"{process.name} is {process.skew / SECOND} s off")


class Guests(FaultKind):
    """Guests halt, crash, or are started by somebody at the host."""

    name = "guests"
    every_s = 4.0

    def visit(self) -> None:
        machine = self.rng.choice(self.world.machines)
        driver = machine.driver
        guests = [guest for guest in machine.hypervisor.guests.values() if guest.defined]
        if driver is None or not guests:
            return
        guest = self.rng.choice(guests)
        if guest.state is PowerState.RUNNING:
            what = self.rng.choice(("halts", "crashes"))
            self.said(f"{guest.name} {what}")
            if what == "halts":
                driver.guest_does(guest.server_id, LifecycleEvent.STOPPED)
            else:
                driver.guest_crashes(guest.server_id)
        elif self.rng.random() < 0.3 and guest.state is PowerState.SHUTDOWN:
            self.said(f"somebody starts {guest.name}")
            driver.guest_does(guest.server_id, LifecycleEvent.STARTED)
            machine.started_by_others.add((guest.server_id, guest.boots))


class Restarts(FaultKind):
    """A process is stopped in order and started again: a rolling upgrade."""

    name = "restart"
    every_s = 6.0

    def visit(self) -> None:
        process = self.rng.choice([*self.world.deciders, *self.world.agents, *self.world.apis])
        if process.alive and not process.frozen:
            self.said(process.name)
            process.stopping = True
            self.world.kernel.say("")
            self.world.restart_later(process, self.rng.choice((1.0, 5.0)))


class Twins(FaultKind):
    """A second agent of the same name starts while the first still runs."""

    name = "twin"
    every_s = 10.0

    def visit(self) -> None:
        number = self.rng.randrange(len(self.world.agents))
        if self.world.agents[number].alive:
            self.said(self.world.agents[number].name)
            self.world.replace_agent(number)


KINDS: tuple[type[FaultKind], ...] = (
    Crashes,
    Duplicates,
    Zombies,
    Delays,
    Unavailable,
    Refused,
    SlowHosts,
    LostHosts,
    StepFailures,
    ClockJumps,
    Guests,
    Restarts,
    Twins,
    *DISASTERS,
    Builds,
    Forged,
)
NAMES = tuple(kind.name for kind in KINDS)
DRAWN = tuple(kind.name for kind in KINDS if kind.drawn)


class Faults:
    """The kinds that are on in this run."""

    def __init__(self, world: World, names: tuple[str, ...], rng: Random) -> None:
        self._world = world
        self._rng = rng
        self.kinds = [kind(world, rng) for kind in KINDS if kind.name in names]
        self.names = tuple(kind.name for kind in self.kinds)
        self.healed = False

    def begin(self) -> None:
        """Those that come by themselves begin to."""
        for kind in self.kinds:
            if kind.every_s is not None:
                self._await(kind, kind.every_s)

    def heal(self) -> None:
        """No more of it."""
        self.healed = True
        for kind in self.kinds:
            kind.heal()

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        """The first fault that strikes this operation."""
        if self.healed:
            return None
        for kind in self.kinds:
            fault = kind.on_log(process, operation)
            if not process.alive:
                raise Crash(process.name)
            if fault is not None:
                return fault
        return None

    def on_step(self, process: Process, step: str, when: str) -> StepFault | None:
        """The first fault that strikes this step."""
        if self.healed:
            return None
        for kind in self.kinds:
            fault = kind.on_step(process, step, when)
            if not process.alive:
                raise Crash(process.name)
            if fault is not None:
                return fault
        return None

    def image_away(self, process: Process) -> bool:
        """Whether a fetch fails."""
        failing = "failure" in self.names and not self.healed
        return failing and self._rng.random() < 0.1

    def _await(self, kind: FaultKind, seconds: float) -> None:
        def come() -> None:
            if not self.healed:
                kind.visit()
                self._await(kind, seconds * kind.growth)

        self._world.kernel.after(self._rng.uniform(0.1, 2.0) * seconds, come)


def drawn(rng: Random) -> tuple[str, ...]:
    """Some kinds, of those that may be drawn: none, one, a few or all."""
    how_many = rng.choice((0, 1, 2, 3, 4, len(DRAWN)))
    return tuple(sorted(rng.sample(DRAWN, how_many)))

"""A simulated process: started, crashed, frozen and started again, as the faults will have it.

What it does is the real code (``roles.py``); what it touches is the shared cluster and its
machine's hypervisors, which outlive it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chronova.pinned_log import AnotherLog
from events.features import TooOld
from events.log.contract import Fenced, LogUnavailable, TopicMismatch
from events.log.memory import Cluster, Crash, MemoryLog
from events.log.records import Codec
from handlers.performer.witness import LogWentBack
from tests.simulation.kernel import SECOND, Owner, Task

if TYPE_CHECKING:
    from tests.simulation.world import World

RESTART_S = 1.0
"""After this the supervisor starts what died by itself."""

SESSION_S = 6.0
"""How long the group waits for a member that is silent."""


class Process(Owner):
    """One process; ``main`` is what it runs each time it starts."""

    def __init__(self, world: World, name: str, main: Callable[[Process], None]) -> None:
        self.world = world
        self.name = name
        self.alive = False
        self.stopping = False
        self.skew = 0
        self.incarnation = 0
        self.decider: Any = None
        self.agent: Any = None
        self.bus: Any = None
        self.fenced = False
        self.cluster: Cluster = world.cluster
        """The log that its settings name."""
        self.known = 1
        """Which version it is started as next, by the feature level that this knows."""
        self.runs = 1
        """Which version it is."""
        self.said_at: int | None = None
        """When the log took its last heartbeat, unless that said that it ends."""
        self.codec: Codec = world.codec
        self._main = main
        self._ids = 0
        self._tasks: list[Task] = []

    # ------------------------------------------------- what its code is given

    def clock(self) -> int:
        """Its machine's wall clock, microseconds."""
        return self.world.kernel.now + self.skew

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return self.world.kernel.now / SECOND

    def pause(self, seconds: float) -> None:
        """Sleep, in virtual time."""
        if seconds > 0:
            self.world.kernel.sleep(seconds)
        else:
            self.world.kernel.give_way()

    def new_id(self) -> str:
        """An id that nobody else makes."""
        self._ids += 1
        return f"{self.name}.{self.incarnation}.{self._ids}"

    def stopped(self) -> bool:
        """Whether it has been asked to end."""
        return self.stopping

    def spawn(self, run: Callable[[], None]) -> Task:
        """A thread of this process."""

        def whole() -> None:
            try:
                run()
            except Crash:
                self.crash()
            except Fenced:
                # Another one has taken over: the program ends, and is started again unless it
                # was replaced.
                self.fenced = True
                self.end()
                self.world.restart_later(self, RESTART_S)
            except TooOld as error:
                self.world.note(self.name, f"is refused: {error}")
                self.known = self.known + 1  # the operator upgrades it
                self.end()
                self.world.restart_later(self, RESTART_S)
            except AnotherLog as error:
                self.world.note(self.name, f"refuses: {error}")
                self.end()
            except LogWentBack as error:
                # A host that ran while the log was restored: the next start says all again.
                self.world.note(self.name, f"ends: {error}")
                self.end()
                self.world.restart_later(self, RESTART_S)
            except LogUnavailable as error:
                # It cannot begin without the log: the supervisor starts it again.
                self.world.note(self.name, f"gives up: {error}")
                self.world.restart_later(self, RESTART_S)
                self.crash()
            except TopicMismatch as error:
                # An agent that begins, or its twin, while the topic of its host is deleted.
                if self in self.world.deciders or "topics" not in self.world.faults.names:
                    self.world.complain("died", f"{self.name} died of {error!r}", cause=error)
                self.end()
                self.world.restart_later(self, RESTART_S)
            except Exception as error:  # noqa: BLE001 - the finding itself: nothing is hidden
                self.world.complain("died", f"{self.name} died of {error!r}", cause=error)
                self.crash()

        task = self.world.kernel.spawn(whole, self)
        self._tasks = [one for one in self._tasks if not one.over]
        self._tasks.append(task)
        return task

    # -------------------------------------------------------- life and death

    def start(self) -> None:
        """Begin anew, with nothing in memory."""
        assert not self.alive
        self.incarnation += 1
        self.alive, self.stopping, self.frozen, self.fenced = True, False, False, False
        self.decider = self.agent = self.bus = None
        self.log = MemoryLog(cluster=self.cluster, process=f"{self.name}.{self.incarnation}")
        self.runs, self.said_at = self.known, None
        self.codec = self.world.codec_of(self)
        self.world.running[self.log.process] = self
        self.world.note(self.name, "starts")
        self.spawn(lambda: self._main(self))

    def crash(self) -> None:
        """Kill -9: nothing is finished, the group finds out when the session ends."""
        if not self.alive:
            return
        self.world.note(self.name, "crashes")
        self._gone()
        log = self.log
        self.world.kernel.after(SESSION_S, lambda: self._expel(log))

    def end(self) -> None:
        """It has ended by itself."""
        if self.alive:
            self.world.note(self.name, "ends")
            self._gone()
            self._expel(self.log)

    def freeze(self) -> None:
        """SIGSTOP. Past its session the group gives its partitions to others."""
        self.frozen = True
        log = self.log

        def session_over() -> None:
            if self.frozen and self.log is log:
                self._expel(log)

        self.world.note(self.name, "is stopped")
        self.world.kernel.after(SESSION_S, session_over)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.frozen:
            self.frozen = False
            self.world.note(self.name, "goes on")

    def _gone(self) -> None:
        self.alive = False
        self.world.running.pop(self.log.process, None)
        current = self.world.kernel.current
        for task in self._tasks:
            if task is not current:
                self.world.kernel.kill(task, Crash(self.name))
        self._tasks = []

    def _expel(self, log: MemoryLog) -> None:
        log.expel()
        self.world.kernel.say("")


class TaskPool:
    """``handlers.performer.pool.Pool``: each piece in a task of the process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._tasks: list[Task] = []

    def submit(self, run: Callable[..., Any], /, *arguments: Any) -> object:
        self._tasks = [task for task in self._tasks if not task.over]
        task = self._process.spawn(lambda: run(*arguments))
        self._tasks.append(task)
        return task

    def wait(self, seconds: float) -> None:
        self._process.pause(seconds)


class Stop:
    """What ``LivenessMonitor.run`` takes for a ``threading.Event``."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def is_set(self) -> bool:
        return self._process.stopping

    def wait(self, timeout: float) -> bool:
        self._process.pause(timeout)
        return self._process.stopping

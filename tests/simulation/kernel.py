"""One thread, one clock, one seed: what runs when, in a simulation.

Every simulated process is a few greenlets; each gives way to the others at every operation on
the log, every step of a driver and every wait. Who goes on next, and how much time passes
meanwhile, is drawn from the seed, so the whole run is a function of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from contextlib import suppress
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

START = 1_800_000_000_000_000
"""When simulations begin, microseconds since 1970."""

SECOND = 1_000_000
STEP_US = 1_500
"""The longest that passes between two steps: about what an append takes on real logs."""


class Stuck(Exception):
    """Nobody can go on, and no timer is set."""


class Task:
    """One greenlet of a process. ``ready``: it may be chosen next."""

    def __init__(self, run: Callable[[], None], owner: Owner, parent: Any) -> None:
        self.greenlet: Any = greenlet(run, parent=parent)
        self.owner = owner
        self.ready = True
        self.listening: Collection[str] | None = None
        self.timer = 0

    @property
    def over(self) -> bool:
        return bool(self.greenlet.dead)


class Owner:
    """What tasks belong to: a process, which can be frozen (none of its tasks goes on)."""

    frozen = False
    name = "harness"


class Kernel:
    """The scheduler of tasks and timers."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = START
        self.steps = 0
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._numbered = 0
        self._main: Any = getcurrent()

    # ------------------------------------------------------------- tasks

    def spawn(self, run: Callable[[], None], owner: Owner) -> Task:
        """A new task; it runs when it is chosen."""
        task = Task(run, owner, self._main)
        self.tasks.append(task)
        return task

    def kill(self, task: Task, error: BaseException) -> None:
        """End a task where it stands. Never the current one."""
        if task in self.tasks:
            self.tasks.remove(task)
        if not task.over:
            task.greenlet.parent = getcurrent()
            with suppress(type(error)):
                task.greenlet.throw(error)

    def give_way(self) -> None:
        """Let others go on first, perhaps. Called within a task (or, harmlessly, without)."""
        if self.current is not None:
            self._switch()

    def sleep(self, seconds: float) -> None:
        """Go on after so many virtual seconds."""
        task = self.current
        assert task is not None, "only tasks sleep"
        task.ready = False
        self._wake_after(task, seconds)
        self._switch()

    def listen(self, seconds: float, words: Collection[str]) -> None:
        """Go on after so many virtual seconds, or as soon as one of ``words`` is heard."""
        task = self.current
        assert task is not None, "only tasks wait"
        task.ready = False
        task.listening = words
        self._wake_after(task, seconds)
        self._switch()

    def say(self, word: str) -> None:
        """Those who listen for that word go on; the empty word is heard by all."""
        for task in self.tasks:
            if task.listening is not None and (not word or word in task.listening):
                task.listening = None
                task.ready = True

    def _switch(self) -> None:
        task, self.current = self.current, None
        self._main.switch()
        self.current = task

    def _wake_after(self, task: Task, seconds: float) -> None:
        task.timer += 1
        number = task.timer

        def wake() -> None:
            if task.timer == number:
                task.listening = None
                task.ready = True

        self.after(seconds, wake)

    # ------------------------------------------------------------ timers

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call ``act`` after so many virtual seconds."""
        self._numbered += 1
        moment = self.now + max(0, int(seconds * SECOND))
        heapq.heappush(self._timers, (moment, self._numbered, act))

    # --------------------------------------------------------------- run

    def step(self) -> Task | None:
        """One task goes on to where it next gives way; None: only time passed."""
        self.steps += 1
        self.now += int(self.rng.random() * STEP_US)
        self._ring()
        ready = [task for task in self.tasks if task.ready and not task.owner.frozen]
        if not ready:
            self._pass_time()
            return None
        task = ready[int(self.rng.random() * len(ready))]
        self.current = task
        try:
            task.greenlet.switch()
        finally:
            self.current = None
        if task.over and task in self.tasks:
            self.tasks.remove(task)
        return task

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()

    def _pass_time(self) -> None:
        if not self._timers:
            raise Stuck("nobody can go on, and nothing is awaited")
        self.now = max(self.now, self._timers[0][0])
        self._ring()

"""Threads, clocks and chance for code that takes them from the standard library.

The API's bus has real threads, locks and waits. In a simulation the names ``threading``,
``time``, ``uuid`` and ``secrets`` in its modules point here: threads are tasks of the process that
starts them, time is virtual, and chance comes from the seed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import api.image.file
import api.image.receiving
import api.log_appender
import api.log_bus
import api.log_replies
import projections.waiting
from tests.simulation.kernel import SECOND, Task

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

FOREVER_S = 1e9


class Event:
    """``threading.Event``."""

    def __init__(self, world: World) -> None:
        self._kernel = world.kernel
        self._word = world.new_word()
        self._set = False

    def set(self) -> None:
        self._set = True
        self._kernel.say(self._word)

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        until = self._kernel.now + (FOREVER_S if timeout is None else timeout) * SECOND
        while not self._set and self._kernel.now < until:
            self._kernel.listen((until - self._kernel.now) / SECOND, {self._word})
        return self._set


class Semaphore:
    """``threading.BoundedSemaphore``; with one place ``threading.Lock``."""

    def __init__(self, world: World, places: int) -> None:
        self._kernel = world.kernel
        self._word = world.new_word()
        self._free = places

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        patience = FOREVER_S if timeout < 0 else timeout
        until = self._kernel.now + (patience * SECOND if blocking else 0)
        while not self._free and self._kernel.now < until:
            self._kernel.listen((until - self._kernel.now) / SECOND, {self._word})
        if not self._free:
            return False
        self._free -= 1
        return True

    def release(self) -> None:
        self._free += 1
        self._kernel.say(self._word)

    def __enter__(self) -> Semaphore:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Thread:
    """``threading.Thread``: a task of the process that starts it."""

    def __init__(self, world: World, target: Callable[[], None]) -> None:
        self._kernel = world.kernel
        self._target = target
        self._task: Task | None = None
        self._word = world.new_word()

    def start(self) -> None:
        current = self._kernel.current
        assert current is not None, "only processes start threads"
        process: Any = current.owner
        self._task = process.spawn(self._run)

    def _run(self) -> None:
        try:
            self._target()
        finally:
            self._kernel.say(self._word)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.over

    def join(self, timeout: float = FOREVER_S) -> None:
        until = self._kernel.now + timeout * SECOND
        while self.is_alive() and self._kernel.now < until:
            self._kernel.listen((until - self._kernel.now) / SECOND, {self._word})


class Threading:
    """The module ``threading``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def Event(self) -> Event:
        return Event(self._world)

    def Lock(self) -> Semaphore:
        return Semaphore(self._world, 1)

    def BoundedSemaphore(self, value: int) -> Semaphore:
        return Semaphore(self._world, value)

    def Thread(self, target: Callable[[], None], name: str, daemon: bool) -> Thread:
        return Thread(self._world, target)


class Time:
    """The module ``time``: the clock of the machine whose process asks."""

    def __init__(self, world: World) -> None:
        self._kernel = world.kernel

    def monotonic(self) -> float:
        return self._kernel.now / SECOND

    perf_counter = monotonic

    def time_ns(self) -> int:
        current = self._kernel.current
        process: Process | None = getattr(current, "owner", None)
        return (self._kernel.now if process is None else process.clock()) * 1000


class Chance:
    """The modules ``uuid`` and ``secrets``."""

    def __init__(self, world: World) -> None:
        self._rng = world.kernel.rng

    def uuid4(self) -> uuid.UUID:
        return uuid.UUID(int=self._rng.getrandbits(128), version=4)

    def randbelow(self, bound: int) -> int:
        return int(self._rng.random() * bound)


@contextmanager
def virtual(world: World) -> Iterator[None]:
    """Let the API's modules run in this world."""
    threads, time, chance = Threading(world), Time(world), Chance(world)
    with ExitStack() as stack:
        for module, name, instead in (
            (api.log_bus, "threading", threads),
            (api.log_bus, "time", time),
            (api.log_bus, "uuid", chance),
            (api.log_appender, "threading", threads),
            (api.log_replies, "threading", threads),
            (api.log_replies, "secrets", chance),
            (projections.waiting, "threading", threads),
            (api.image.receiving, "time", time),
            (api.image.file, "uuid4", chance.uuid4),
        ):
            stack.enter_context(_instead(module, name, instead))
        yield


@contextmanager
def _instead(module: ModuleType, name: str, instead: Any) -> Iterator[None]:
    right = module.__dict__[name]
    setattr(module, name, instead)
    try:
        yield
    finally:
        setattr(module, name, right)

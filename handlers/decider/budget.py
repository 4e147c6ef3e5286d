"""The time that one decision may take; one that takes longer is broken off.

A decision is pure and holds its partition until it is made: a regular expression that backtracks,
a plug-in that loops or waits, would hold it for ever. While a batch is decided a timer sends this
process a signal ten times in each budget. Python handles it in the main thread, in which decisions
are made, also in the middle of a regular expression (which never lets another thread run) and of
a wait. The handler counts the ticks of the decision it finds under way and raises ``OverBudget``
in it when they are too many, and at each tick after that.

Invariant: it is raised only within a function marked ``@breakable``, all of whose work can be
thrown away, and never within one marked ``@whole`` (``events.whole``). Ticks are counted and not
seconds, so a process that was stopped, or a machine that slept, breaks nothing off.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, Protocol, TypeVar

from events.whole import WHOLE

TICKS = 10
"""In a budget. A decision is broken off between one budget and a tenth more."""

BREAKABLE: set[CodeType] = set()
"""The code of the functions that can be broken off."""

F = TypeVar("F", bound=Callable[..., Any])


def breakable(function: F) -> F:
    """Mark a function all of whose work is thrown away when it raises."""
    BREAKABLE.add(function.__code__)
    return function


class OverBudget(BaseException):
    """A decision took longer than its budget. No ``Exception``: code that takes any of those for
    its own would go on."""


class Budget(Protocol):
    """What breaks off decisions. It is entered for each batch."""

    def begin(self) -> None:
        """Note that another decision begins."""

    def __enter__(self) -> object:
        """Begin a batch."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End a batch."""


class Unlimited:
    """Breaks off nothing."""

    def begin(self) -> None:
        """Do nothing."""

    def __enter__(self) -> object:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing."""


UNLIMITED = Unlimited()


class Alarm:
    """Breaks off decisions of this process' main thread that take longer than ``budget_s``.

    It takes SIGALRM and the timer of real time, of which a process has one each; ``close`` gives
    the signal back. Raises ``ValueError`` outside the main thread.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._every_s = budget_s / TICKS
        self._ticks = 0
        self._before = signal.signal(signal.SIGALRM, self._tick)

    def begin(self) -> None:
        """Note that another decision begins."""
        self._ticks = 0

    def __enter__(self) -> object:
        signal.setitimer(signal.ITIMER_REAL, self._every_s, self._every_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def close(self) -> None:
        """Give the signal back."""
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self._before)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        """Count a tick for the decision that is under way in ``frame``, if there is one. Raises
        ``OverBudget`` in it."""
        while frame is not None and frame.f_code not in BREAKABLE:
            if frame.f_code in WHOLE:
                return
            frame = frame.f_back
        if frame is None:
            return
        self._ticks += 1
        if self._ticks > TICKS:
            raise OverBudget(f"The decision took longer than {self._budget_s:g} s.")

"""Asking parts how they are: all at once, each in a thread of its own, none for too long.

A part that hangs is ill, and is not asked again before it has answered: so at most one
thread hangs for each. Answers are kept for a second; whoever asks meanwhile gets the same.

A part that has answered before is waited for ``WAIT_S`` only, so that health is told within a
second: until it has hung for ``LIMIT_S``, its last answer stands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

LIMIT_S = 1.5
"""How long a part may take; with all else a first answer takes less than 2 s."""

WAIT_S = 0.7
"""How long a part is waited for that has answered before."""

KEPT_S = 1.0


class Ill(Exception):
    """A part cannot do its work; the text is one sentence. ``figures``: what is known of it."""

    def __init__(self, reason: str, figures: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.figures = dict(figures or {})


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a part is. ``reason`` where it is ill; ``degraded`` where it works, but not for all;
    ``figures`` differ from part to part."""

    ok: bool
    ms: float
    reason: str = ""
    degraded: str = ""
    figures: dict[str, Any] = {}


DEGRADED = "degraded"
"""Among a part's figures: a sentence that says what it cannot do while it does all else."""

Check = Callable[[], Mapping[str, Any]]
"""A part's figures. Raises ``Ill``; whatever else it raises means the same."""


class _Part:
    """One part and the answer it last gave."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._lock = threading.Lock()
        self._answered: threading.Event | None = None
        self._asked_at = 0.0
        self._condition: Condition | None = None

    def ask(self) -> threading.Event:
        """Begin to ask, unless that is under way; set when the answer is here."""
        with self._lock:
            if self._answered is None or self._answered.is_set():
                self._answered = threading.Event()
                self._asked_at = time.monotonic()
                name = f"health-{self._name}"
                threading.Thread(
                    target=self._run, args=(self._answered,), name=name, daemon=True
                ).start()
            return self._answered

    @property
    def answered_before(self) -> bool:
        """Whether there is an answer, be it an old one."""
        return self._condition is not None

    def condition(self, limit_s: float) -> Condition:
        """The last answer; ill when there is none, or the next has not come for ``limit_s``."""
        elapsed = time.monotonic() - self._asked_at
        hangs = self._answered is None or not self._answered.is_set()
        if self._condition is None or (hangs and elapsed >= limit_s):
            return Condition(False, _ms(elapsed), f"no answer for {elapsed:.1f} s")
        return self._condition

    def _run(self, answered: threading.Event) -> None:
        try:
            figures = dict(self._check())
            degraded = figures.pop(DEGRADED, "")
            ms = self._elapsed_ms()
            self._condition = Condition(True, ms, degraded=degraded, figures=figures)
        except Ill as error:
            ms = self._elapsed_ms()
            self._condition = Condition(False, ms, str(error), figures=error.figures)
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is ill
            reason = " ".join(str(error).split()) or type(error).__name__
            self._condition = Condition(False, self._elapsed_ms(), reason[:300])
        finally:
            answered.set()

    def _elapsed_ms(self) -> float:
        return _ms(time.monotonic() - self._asked_at)


class Checks:
    """Asks ``parts``. Thread-safe."""

    def __init__(
        self,
        parts: Mapping[str, Check],
        limit_s: float = LIMIT_S,
        kept_s: float = KEPT_S,
        wait_s: float = WAIT_S,
    ) -> None:
        self._parts = {name: _Part(name, check) for name, check in parts.items()}
        self._limit_s = limit_s
        self._wait_s = wait_s
        self._kept_s = kept_s
        self._asking = threading.Lock()
        self._known: dict[str, Condition] = {}
        self._known_at = float("-inf")

    def begin(self) -> None:
        """Ask for the first time, without waiting: the first who wants to know is answered soon."""
        for part in self._parts.values():
            part.ask()

    def conditions(self) -> dict[str, Condition]:
        """How each part is, not older than ``kept_s`` where it answers. Takes ``wait_s`` at most,
        or ``limit_s`` while there is a part that has not answered yet."""
        with self._asking:
            if time.monotonic() - self._known_at > self._kept_s:
                self._known = self._asked()
                self._known_at = time.monotonic()
            return self._known

    def _asked(self) -> dict[str, Condition]:
        began = time.monotonic()
        for part, answered in [(part, part.ask()) for part in self._parts.values()]:
            limit_s = self._wait_s if part.answered_before else self._limit_s
            answered.wait(max(0.0, began + limit_s - time.monotonic()))
        return {name: part.condition(self._limit_s) for name, part in self._parts.items()}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)

"""One piece of work: as it came, how it is called off, and what its kind is given to do it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar, Literal, Protocol

import msgspec

from commands.work import Order, Version, Wish
from events.log.contract import TopicPartition
from events.message import Command, Context

Outcome = Literal["done", "failed", "superseded", "cancelled"]
Key = tuple[str, str]
"""Host and subject."""


class WorkError(Exception):
    """The work could not be done. The text is one sentence for the one who asked.

    `transient`: the same work may succeed later with nothing changed by anyone.
    """

    transient: ClassVar[bool] = False


class CalledOff(Exception):
    """The piece is not to be gone on with."""

    outcome: Outcome = "cancelled"


class Superseded(CalledOff):
    """Newer work for the same subject has come."""

    outcome: Outcome = "superseded"


class Cancelled(CalledOff):
    """The process ends; the piece is done after its next start."""


class Calling:
    """Lets another thread call a piece off. The first reason counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: type[CalledOff] | None = None
        self._callbacks: list[Callable[[], None]] = []

    def off(self, reason: type[CalledOff]) -> None:
        """Call the piece off, and end what it waits for."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_off(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the piece is called off; at once if it was already."""
        with self._lock:
            if self._reason is None:
                self._callbacks.append(callback)
                return
        callback()

    @property
    def reason(self) -> type[CalledOff] | None:
        """Why it was called off, or None."""
        return self._reason


class Piece(msgspec.Struct, frozen=True, eq=False):
    """A piece of work as it came: where from, in which envelope, for which host."""

    source: TopicPartition
    offset: int
    host: str
    context: Context
    work: Order | Wish
    long: bool = False
    calling: Calling = msgspec.field(default_factory=Calling)

    @property
    def key(self) -> Key:
        """Host and subject: pieces with the same key are done one at a time."""
        return (self.host, self.work.subject)

    @property
    def version(self) -> Version:
        """The version of the work."""
        return self.work.version

    @property
    def type_name(self) -> str:
        """The message name of the work."""
        return self.work.type_name


class Task(Protocol):
    """What a kind has at hand while it does a piece."""

    host: str

    def report(self, report: Command) -> None:
        """Say that a step is done."""

    def progress(self, report: Callable[[], Command]) -> None:
        """Say how far a long step is. Called often; only some of these reports are made."""

    def proceed(self) -> None:
        """Raises ``CalledOff`` when the piece is not to be gone on with."""

    def on_called_off(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` from another thread when the piece is called off."""

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the process."""

    def happened(self) -> bool:
        """Whether the effect of this piece took place before, by an earlier try or process."""
        ...

"""A message that exists in tests only and changes from version to version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from events.log.records import Codec
from events.message import MESSAGES, Event
from schemas.catalog import load
from schemas.commit import commit

NAME = "schemas.BootDelayed"


def first() -> type[Event]:
    class BootDelayed(Event, frozen=True, kw_only=True):
        """A boot waits."""

        server_id: Annotated[str, "UUID of the server."]
        delay_s: Annotated[int, "How long, in seconds."]

    return BootDelayed


def second() -> type[Event]:
    class BootDelayed(Event, frozen=True, kw_only=True):
        """A boot waits."""

        server_id: Annotated[str, "UUID of the server."]
        delay_s: Annotated[int, "How long, in whole seconds, for old readers."]
        delay_ms: Annotated[int, "How long, in milliseconds."] = 0

    return BootDelayed


def third() -> type[Event]:
    class BootDelayed(Event, frozen=True, kw_only=True):
        """A boot waits."""

        server_id: Annotated[str, "UUID of the server."]
        delay_s: Annotated[int, "How long, in whole seconds, for old readers."]
        delay_ms: Annotated[int, "How long, in milliseconds."] = 0
        reason: Annotated[str | None, "Why, where it is known."] = None

    return BootDelayed


class Evolution:
    """A catalogue of its own, in which that message goes from version to version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def file(self) -> Path:
        """That of the message."""
        return self.folder / "schemas/BootDelayed.json"

    def commit(self, define: Callable[[], type[Event]]) -> list[str]:
        """Let the message be as ``define`` says and commit it: the subjects written."""
        MESSAGES.clear()
        define()
        return commit(self.folder)

    def codec(self) -> Codec:
        """Writes and reads with what is committed."""
        return Codec(load(self.folder))


@contextmanager
def evolution(folder: Path) -> Iterator[Evolution]:
    """No other message exists meanwhile."""
    before = dict(MESSAGES)
    try:
        yield Evolution(folder)
    finally:
        MESSAGES.clear()
        MESSAGES.update(before)

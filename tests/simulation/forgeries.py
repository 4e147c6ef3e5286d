"""Nothing follows from what a host says in the name of another, but that it is noted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from events import topics
from events.fleet.heartbeat import Heartbeat
from events.fleet.host import ServiceWentDown
from events.log.contract import Record
from events.log.records import Codec
from events.outcome import CommandFailed

WENT_DOWN = f"chronova.{ServiceWentDown.type_name}"
FAILED = f"chronova.{CommandFailed.type_name}"

OVERSIZED = "oversized-"
"""Begins the ids of commands that lead to more than the log takes."""


def meant_to_fail(event: CommandFailed, forged: Collection[str]) -> bool:
    """Whether a command failed that was made for it: no other may."""
    oversized = event.command_id.startswith(OVERSIZED) and event.reason.startswith("LogError")
    return oversized or event.command_id in forged


class Forgeries:
    """Watches what becomes of the records whose ids are in ``ids``."""

    def __init__(self, codec: Codec, complain: Callable[[str, str], None]) -> None:
        self._codec = codec
        self._complain = complain
        self.ids: set[str] = set()
        self._ended: set[str] = set()
        """Hosts that have said themselves that their services end."""

    def has(self, record: Record) -> bool:
        """Whether the record is one of them."""
        return record.headers.get("ce_id", "") in self.ids

    def wrote(self, records: Iterable[Record]) -> None:
        """One append."""
        for record in records:
            type_name = record.headers.get("ce_type", "")
            cause = record.headers.get("ce_causationid", "")
            if record.topic == topics.HEARTBEATS:
                self._beat(record)
            elif cause in self.ids and type_name != FAILED:
                self._complain("forged", f"{type_name} follows from {cause}")
            elif type_name == WENT_DOWN:
                self._went_down(record)

    def _beat(self, record: Record) -> None:
        beat = self._codec.decode(record.value)
        if isinstance(beat, Heartbeat) and beat.ending and not self.has(record):
            self._ended.add(beat.host)

    def _went_down(self, record: Record) -> None:
        fact = self._codec.decode(record.value)
        assert isinstance(fact, ServiceWentDown)
        if fact.ended and fact.host not in self._ended:
            self._complain("forged", f"{fact.host} went down, and has never said that it ends")

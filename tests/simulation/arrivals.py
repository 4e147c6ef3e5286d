"""Whether all that follows from facts arrives, and all that hosts did is reported.

What follows is asked of the real reactions once more, for each fact that counts. It has arrived
when its record is in the log. What may be handed over in memory has no record: it has arrived when
the marks of its receiver's journal say that it was taken, or something that followed later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from commands.work import Order
from events import topics
from events.compute.server import facts as f
from events.fleet.allocation import RemovalAskedAgain
from events.log.contract import Record, TopicPartition, partition_of
from events.log.records import Codec
from events.message import Event
from handlers.decider.marks import follow_id, origin_of
from handlers.performer.bookmark import Place
from handlers.reaction import Send, follows_of
from tests.simulation.line import Line

AGAIN = (
    *(f.ReportIgnored, f.GuestRemovalConfirmed, f.OperationProgressed, f.StaleGuestFound),
    RemovalAskedAgain,
)
"""A removal is confirmed, more time given, a stray guest removed: twice is as good as once."""


class Arrivals:
    """What is to arrive, by its id: the topic, and the key of a command."""

    def __init__(self) -> None:
        self._awaited: dict[str, tuple[str, str | None]] = {}
        self.arrived: set[str] = set()

    def follow(self, record: Record, event: Event, state: Any) -> None:
        """A fact counts; ``state`` is its subject's after it."""
        for index, follow in enumerate(follows_of(event, state)):
            id = follow_id(record.headers["ce_id"], index)
            if isinstance(follow, Send):
                self._awaited[id] = (topics.commands(follow.command.type_domain), follow.key)
            else:
                self._awaited[id] = (topics.dispatch(follow.host), None)

    def wrote(self, record: Record) -> None:
        """A record is in the log."""
        if record.headers.get("ce_id") in self._awaited:
            self.arrived.add(record.headers["ce_id"])

    def missing(
        self,
        lines: Mapping[TopicPartition, Line],
        partitions: Callable[[str], int],
        in_memory: bool,
    ) -> list[str]:
        """What has not arrived. ``in_memory``: commands may be handed over without a record."""
        found = []
        for id, (topic, key) in self._awaited.items():
            if id in self.arrived:
                continue
            if key is not None and in_memory:
                journal = topic.replace(".commands", ".events")
                line = lines.get((journal, partition_of(key, partitions(topic))))
                origin = origin_of(id)
                assert origin is not None, "what follows names its origin"
                if line is not None and line.marks.taken.get(origin[0], (0, -1)) >= origin[1]:
                    continue
            found.append(f"{id} for {topic}")
        return found


class Ended:
    """Looks whether a host's bookmark passes only work that was reported, or superseded."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._seen: set[str] = set()

    def unreported(
        self, content: bytes, records_of: Callable[[str], list[Record]], reported: set[str]
    ) -> Iterable[str]:
        """Yield each piece that the bookmark calls ended and nobody has reported.

        ``reported``: ids of the work that reports followed from.
        """
        places = msgspec.json.decode(content, type=dict[str, Place])
        for topic, place in places.items():
            records = [record for record in records_of(topic) if record.offset < place.next]
            newest = self._newest(records)
            open = {r.headers["ce_id"] for r in records if r.offset in place.open}
            for record in records:
                id = record.headers["ce_id"]
                if id in open or id in self._seen:
                    continue
                self._seen.add(id)
                work = self._codec.decode(record.value)
                if id in reported or not isinstance(work, Order):
                    continue
                if newest[work.subject] == id:
                    yield f"{work.type_name} {id}"

    def _newest(self, records: list[Record]) -> dict[str, str]:
        """The id of the newest work of each subject."""
        newest: dict[str, tuple[Any, int, str]] = {}
        for record in records:
            work: Any = self._codec.decode(record.value)
            mine = (work.version, record.offset, record.headers["ce_id"])
            newest[work.subject] = max(newest.get(work.subject, mine), mine)
        return {subject: id for subject, (_, _, id) in newest.items()}

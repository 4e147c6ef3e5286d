"""A command from the command line, straight to the log, and what was decided about it.

For what the API has no operation for. Who may write commands to the log is an operator. A refusal
counts only when a mark of the journal names its place: its decider may have ended before it
committed that, and another may have accepted the command.
"""

from __future__ import annotations

import time
import uuid

from events import topics
from events.journal import Marked
from events.log.contract import Log, LogUnavailable, Outgoing, Record, partition_of
from events.log.records import Codec, headers
from events.log.terms import Terms
from events.message import Command, Context, Event

TURN_S = 0.5


class Question:
    """Sends ``command`` to the partition of ``key`` at once; ``answer`` waits for its decision."""

    def __init__(self, log: Log, command: Command, key: str) -> None:
        self._codec = Codec()
        self._id = f"cli-{uuid.uuid4()}"
        events = topics.events(command.type_domain)
        number = partition_of(key, log.partitions(events))
        self._journal = (events, number)
        ends = log.ends([self._journal, (topics.refusals(command.type_domain), number)])
        # The last record of before names the term: one of an older term does not count.
        start = {**ends, self._journal: max(0, ends[self._journal] - 1)}
        self._terms = Terms()
        self._facts: list[Event] = []
        self._refusals: dict[int, Event] = {}
        """By offset, what was written about the command beside the journal."""
        self._refused_at: int | None = None
        """The offset that a mark names."""
        self._reader = log.reader(start)
        context = Context(id=self._id, time=time.time_ns() // 1000)
        made = headers(context, command.type_name, "/chronova/cli")
        topic = topics.commands(command.type_domain)
        log.append([Outgoing(topic, key, self._codec.encode(command), made)])

    def answer(self, timeout_s: float) -> list[Event]:
        """The facts of the decision, or its refusal. Raises ``LogUnavailable`` when none came in
        time: the command may still be decided."""
        until = time.monotonic() + timeout_s
        try:
            while True:
                for record in self._reader.poll(TURN_S):
                    self._take(record)
                if found := self._decided():
                    return found
                if time.monotonic() > until:
                    raise LogUnavailable(self._nothing())
        finally:
            self._reader.close()

    def _decided(self) -> list[Event]:
        refusal = None if self._refused_at is None else self._refusals.get(self._refused_at)
        return self._facts or ([refusal] if refusal is not None else [])

    def _nothing(self) -> str:
        if self._refused_at is not None:
            return "the command was refused; why, could not be read in time"
        if self._refusals:
            return (
                "a refusal was written, and nobody committed it in time; the command may still"
                " count"
            )
        return "no decider answered in time; the command may still count"

    def _take(self, record: Record) -> None:
        in_journal = record.source == self._journal
        if in_journal and not self._terms.admits(record):
            return
        if in_journal and record.headers.get("ce_type") == f"chronova.{Marked.type_name}":
            marked = self._codec.decode(record.value)
            assert isinstance(marked, Marked)
            for refused in marked.refused:
                if refused.command_id == self._id:
                    self._refused_at = refused.offset
        elif record.headers.get("ce_causationid") == self._id:
            event = self._codec.decode(record.value)
            if isinstance(event, Event) and in_journal:
                self._facts.append(event)
            elif isinstance(event, Event):
                self._refusals[record.offset] = event

"""A command from the command line, straight to the log, and what was decided about it.

For what the API has no operation for. Who may write commands to the log is an operator.
"""

from __future__ import annotations

import time
import uuid

from events import topics
from events.log.contract import LATEST, Log, LogUnavailable, Outgoing, partition_of
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
        refusals = topics.refusals(command.type_domain)
        self._reader = log.reader({(events, number): LATEST, (refusals, number): LATEST})
        self._reader.poll(0.0)  # so that it stands at the end before the command is there
        context = Context(id=self._id, time=time.time_ns() // 1000)
        made = headers(context, command.type_name, "/chronova/cli")
        topic = topics.commands(command.type_domain)
        log.append([Outgoing(topic, key, self._codec.encode(command), made)])

    def answer(self, timeout_s: float) -> list[Event]:
        """The facts of the decision, a refusal among them. Raises ``LogUnavailable`` when none
        came in time: the command may still be decided."""
        until = time.monotonic() + timeout_s
        found: list[Event] = []
        terms = Terms()
        try:
            while not found:
                if time.monotonic() > until:
                    raise LogUnavailable("no decider answered in time; the command may still count")
                for record in self._reader.poll(TURN_S):
                    counts = terms.admits(record)
                    if counts and record.headers.get("ce_causationid") == self._id:
                        event = self._codec.decode(record.value)
                        found += [event] if isinstance(event, Event) else []
        finally:
            self._reader.close()
        return found

"""Asks every partition's decider for a decision, past the API, and measures how long that takes.

Each probe is a command about a server that does not exist: it is refused, of which the journal's
marks tell exactly once for each probe, however often it was delivered.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from contextlib import closing

from commands.compute.power import StopServer
from events import topics
from events.journal import Marked
from events.log.contract import LATEST, Log, Outgoing
from events.log.records import Codec, headers
from events.log.terms import Terms, is_control
from events.message import Context
from events.outcome import Reply

CODEC = Codec()
TOPIC = topics.commands("compute")


class Prober:
    """Sends probes through ``log`` and remembers their ids."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.sent: set[str] = set()

    def probe(self, limit_s: float) -> float:
        """Ask every partition once; the seconds until all have answered. Fails after the limit."""
        count = self.log.partitions(TOPIC)
        with closing(self.log.reader({(topics.REPLIES, 0): LATEST})) as replies:
            began = time.monotonic()
            asked = self.send(range(count))
            while asked:
                left_s = began + limit_s - time.monotonic()
                assert left_s > 0, f"{len(asked)} of {count} not decided within {limit_s} s"
                for record in replies.poll(left_s):
                    reply = CODEC.decode(record.value)
                    assert isinstance(reply, Reply)
                    asked.discard(reply.command_id)
            return time.monotonic() - began

    def send(self, numbers: range) -> set[str]:
        """A probe into each of these partitions; their ids."""
        now = time.time_ns() // 1000
        records = []
        for number in numbers:
            context = Context(id=f"probe-{uuid.uuid4()}", time=now, reply_to="0")
            made = headers(context, StopServer.type_name, "/chronova/tests")
            value = CODEC.encode(StopServer(server_id=str(uuid.uuid4())))
            records.append((context.id, Outgoing(TOPIC, "probe", value, made, number)))
        self.log.append([record for _, record in records], 30.0)
        ids = {id for id, _ in records}
        self.sent |= ids
        return ids

    def decided(self) -> Counter[str]:
        """How often each probe was refused, by the marks of the journals."""
        topic = topics.events("compute")
        sources = {(topic, number): 0 for number in range(self.log.partitions(topic))}
        found: Counter[str] = Counter()
        terms = Terms()
        with closing(self.log.reader(sources)) as reader:
            ends = reader.ends()
            until = time.monotonic() + 60
            while any(reader.positions()[source] < end for source, end in ends.items()):
                assert time.monotonic() < until, "the events could not be read"
                for record in reader.poll(1.0, 5000):
                    if terms.admits(record) and is_control(record):
                        marked = CODEC.decode(record.value)
                        refused = marked.refused if isinstance(marked, Marked) else []
                        found.update(one.command_id for one in refused)
        return found

"""Measure how long a new owner takes to decide: ``python -m tests.bench.takeover [EVENTS]``.

A journal of ``EVENTS`` events of one partition (a million if not given) is written to a log: of a
Postgres of its own, of a broker of its own (``--log kafka``), or at a URL (``--log URL``). The
events are those of boots, five for each server, and all servers stay: the largest snapshot that so
many events can have. Then a decider takes the journal over: without a snapshot, with the one that
it left, and a third one saves another while it decides.

Shown are seconds by the clock and of CPU (the decider's, not the log's), and the longest pause
between two polls, which has to be far below the time after which a group expels a member.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as numbers
from itertools import islice
from pathlib import Path
from random import Random

import commands.compute
from events import topics
from events.journal import TermBegan
from events.log import open_log
from events.log.contract import Journal, Log, Outgoing
from events.log.records import (
    GENESIS,
    Codec,
    EventStamp,
    chain_hash,
    control_hash,
    headers,
    stamp_headers,
)
from events.message import Context, Event
from handlers.decider import Decider
from tests.bench.memory import server
from tests.parts.broker import kafka_broker
from tests.parts.postgres import EmbeddedServer

assert commands.compute
EVENTS_DEFAULT = 1_000_000
NOW = 1_800_000_000_000_000
BATCH = 2_000
DOMAIN = "compute"


def boots() -> Iterator[Event]:
    """The events of boots in compute, server after server."""
    random = Random(7)
    for number in numbers():
        for event in server(number, random):
            if event.type_domain == DOMAIN:
                yield event


class Writer:
    """Writes the journal under a term of its own, as an owner would."""

    def __init__(self, log: Log) -> None:
        self._log, self._codec, self._topic = log, Codec(), topics.events(DOMAIN)
        self._journal: Journal = log.begin_term((self._topic, 0), self._term())
        self._hash = self._hash_of_term()
        self._sequences: dict[str, int] = {}
        self._position = 0

    def write(self, count: int) -> None:
        """Append ``count`` events in large batches, each with marks."""
        events = islice(boots(), count)
        while batch := list(islice(events, BATCH)):
            records = [self._record(event, last=event is batch[-1]) for event in batch]
            (outcome,) = self._log.commit([(self._journal, records)], 30.0)
            if not isinstance(outcome, int):
                raise outcome

    def _record(self, event: Event, *, last: bool) -> Outgoing:
        self._position += 1
        id, topic = event.subject[1], self._topic
        sequence = self._sequences[id] = self._sequences.get(id, 0) + 1
        context = Context(
            id=f"{topic}/0/{self._position}",
            time=event.at,
            request_id=f"req-{uuid.UUID(int=self._position // 5)}",
            correlation_id=f"{uuid.UUID(int=self._position // 5)}",
            causation_id=f"{uuid.UUID(int=self._position)}",
            user_id=f"{self._position % 400:032x}",
            project_id=f"{self._position % 200:032x}",
            traceparent=f"00-{self._position:032x}-{self._position:016x}-01",
        )
        made = headers(context, event.type_name, "/bench", "/".join(event.subject))
        stamp_headers(made, EventStamp(self._position, sequence, self._hash))
        made["ce_term"] = str(self._journal.term)
        if last:
            made["ce_marks"] = f'{{"delivered":{self._journal.term + self._position}}}'
        value = self._codec.encode(event)
        self._hash = chain_hash(id, value, made)
        return Outgoing(topic, id, value, made, 0)

    def _term(self) -> Outgoing:
        began = TermBegan(at=NOW, owner="bench")
        made = headers(Context(id="term", time=NOW), began.type_name, "/bench")
        return Outgoing(self._topic, "term", self._codec.encode(began), made, 0)

    def _hash_of_term(self) -> str:
        reader = self._log.reader({(self._topic, 0): 0})
        try:
            (record,) = reader.poll(10.0, 1)
        finally:
            reader.close()
        return control_hash(GENESIS, record)


class Pauses:
    """The longest pause between two looks at the clock."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.longest_s = 0.0

    def look(self) -> None:
        """Note how long ago the last look was."""
        now = time.perf_counter()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now


def take_over(log: Log, snapshots: Path) -> None:
    """Show how long a decider takes until it decides, and let it end what it saves."""
    began, cpu, pauses = time.perf_counter(), time.process_time(), Pauses()
    decider = Decider(log, [DOMAIN], snapshots=snapshots)
    try:
        while decider.states(DOMAIN, 0, "server") is None:
            decider.step(0.1)
            pauses.look()
        taken, used = time.perf_counter() - began, time.process_time() - cpu
        servers = len(decider.states(DOMAIN, 0, "server") or ())
        show(f"  until it decides, {servers} servers", taken, used, pauses)
        save(decider)
    finally:
        decider.close()


def save(decider: Decider) -> None:
    """Show how long the loop pauses while a snapshot of all is written beside it."""
    decider._snapshots.close()
    (owned,) = decider._ownership.owned.values()
    began, cpu, pauses = time.perf_counter(), time.process_time(), Pauses()
    decider._save(owned)
    pauses.look()
    while decider._snapshots.busy:
        decider.step(0.001)
        pauses.look()
    show("  saving a snapshot", time.perf_counter() - began, time.process_time() - cpu, pauses)


def measure(url: str, count: int) -> None:
    """Write, take over, and once more."""
    schema = {"schema": f"bench_{uuid.uuid4().hex[:8]}"} if "postgres" in url else {}
    log = open_log(url, **schema)
    log.create_topics(topics.all_topics(1))
    began, cpu, pauses = time.perf_counter(), time.process_time(), Pauses()
    Writer(log).write(count)
    show(f"{count} events written", time.perf_counter() - began, time.process_time() - cpu, pauses)
    with tempfile.TemporaryDirectory() as folder:
        for how in ("without a snapshot", "with a snapshot"):
            sys.stdout.write(f"taken over {how}\n")
            take_over(log, Path(folder))
    log.close()


def show(what: str, seconds: float, cpu: float, pauses: Pauses) -> None:
    """Print a line."""
    pause = f"longest pause {pauses.longest_s * 1000:.0f} ms"
    sys.stdout.write(f"{what:<40} {seconds:7.1f} s  {cpu:7.1f} s of CPU  {pause}\n")
    sys.stdout.flush()


@contextmanager
def own_log(kind: str) -> Iterator[str]:
    """Give the URL of a log: of one that is made for this, or the one that is named."""
    if kind == "kafka":
        with kafka_broker() as broker:
            yield f"kafka://{broker.bootstrap}"
    elif kind == "postgres":
        with tempfile.TemporaryDirectory() as folder:
            server = EmbeddedServer(Path(folder))
            try:
                yield server.url
            finally:
                server.stop()
    else:
        yield kind


def main() -> None:
    """Measure on the log that is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("events", nargs="?", type=int, default=EVENTS_DEFAULT)
    parser.add_argument("--log", default="postgres", help="postgres, kafka or a URL")
    options = parser.parse_args()
    with own_log(options.log) as url:
        measure(url, options.events)


if __name__ == "__main__":
    main()

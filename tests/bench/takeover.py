"""Measure how long a new owner takes to decide: ``python -m tests.bench.takeover [EVENTS] [URL]``.

A journal of ``EVENTS`` events of one partition (a million if not given) is written to a log: of a
Postgres of its own, or at URL. Then a decider takes it over, once without a snapshot and once with
the one that it left. It polls all the while: the longest pause between two polls is shown, which
has to be far below the time after which a group expels a member.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import commands.compute
from events import topics
from events.compute.flavor import FlavorCreated, FlavorDescribed, FlavorSnapshot
from events.journal import TermBegan
from events.log import open_log
from events.log.contract import Log, Outgoing
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
from tests.parts.postgres import EmbeddedServer

assert commands.compute
EVENTS_DEFAULT = 1_000_000
FLAVORS = 20_000
NOW = 1_800_000_000_000_000
BATCH = 2_000
DOMAIN = "compute"


def events(count: int) -> Iterator[Event]:
    """Flavors that are made, and then described over and over."""
    for number in range(min(FLAVORS, count)):
        yield FlavorCreated(
            at=NOW,
            flavor_id=str(number),
            flavor=FlavorSnapshot(
                flavor_id=str(number), name=f"f-{number}", vcpus=1, ram_mib=512, root_gib=1
            ),
        )
    for number in range(FLAVORS, count):
        yield FlavorDescribed(at=NOW, flavor_id=str(number % FLAVORS), description=f"d {number}")


def write(log: Log, count: int) -> None:
    """Write the journal under a term of its own, as an owner would."""
    codec, topic = Codec(), topics.events(DOMAIN)
    journal = log.begin_term((topic, 0), _term(codec, topic))
    hash, batch, sequences = _hash_of_term(log, topic), [], dict[str, int]()
    for position, event in enumerate(events(count), start=1):
        id = event.subject[1]
        sequences[id] = sequences.get(id, 0) + 1
        context = Context(id=f"{topic}/0/{position}", time=NOW, causation_id=f"c-{position}")
        made = headers(context, event.type_name, "/bench", "/".join(event.subject))
        stamp_headers(made, EventStamp(position, sequences[id], hash))
        made["ce_term"] = str(journal.term)
        value = codec.encode(event)
        hash = chain_hash(id, value, made)
        batch.append(Outgoing(topic, id, value, made, 0))
        if len(batch) == BATCH or position == count:
            made["ce_marks"] = f'{{"delivered":{journal.term + position}}}'
            hash = chain_hash(id, value, made)
            (outcome,) = log.commit([(journal, batch)], 30.0)
            if not isinstance(outcome, int):
                raise outcome
            batch = []


def _term(codec: Codec, topic: str) -> Outgoing:
    began = TermBegan(at=NOW, owner="bench")
    made = headers(Context(id="term", time=NOW), began.type_name, "/bench")
    return Outgoing(topic, "term", codec.encode(began), made, 0)


def _hash_of_term(log: Log, topic: str) -> str:
    reader = log.reader({(topic, 0): 0})
    try:
        (record,) = reader.poll(10.0, 1)
    finally:
        reader.close()
    return control_hash(GENESIS, record)


def take_over(log: Log, snapshots: Path) -> tuple[float, float]:
    """Seconds until the decider decides, and the longest time between two polls."""
    began = last = time.perf_counter()
    longest = 0.0
    decider = Decider(log, [DOMAIN], snapshots=snapshots)
    try:
        while decider.states(DOMAIN, 0, "flavor") is None:
            decider.step(0.1)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        taken = time.perf_counter() - began
        decider._snapshots.close()
    finally:
        decider.close()
        decider._snapshots.close()
    return taken, longest


def measure(url: str, count: int) -> None:
    """Write, take over, and once more."""
    log = open_log(
        url, **({"schema": f"bench_{uuid.uuid4().hex[:8]}"} if "postgres" in url else {})
    )
    log.create_topics(topics.all_topics(1))
    began = time.perf_counter()
    write(log, count)
    show(f"{count} events written", time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder:
        for how in ("without a snapshot", "with a snapshot"):
            taken, longest = take_over(log, Path(folder))
            show(f"taken over {how}", taken, f"longest between two polls {longest:.2f} s")
    log.close()


def show(what: str, seconds: float, more: str = "") -> None:
    """Print a line."""
    sys.stdout.write(f"{what:<34} {seconds:7.1f} s  {more}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure on the log that is named, else on a Postgres of its own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS_DEFAULT
    if len(sys.argv) > 2:
        return measure(sys.argv[2], count)
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder))
        try:
            measure(server.url, count)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

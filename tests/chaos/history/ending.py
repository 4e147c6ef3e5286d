"""What a history ends with: the log's facts, the guests of the hosts, what is wrong at rest."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from chronova.connections import open_site_log
from chronova.domains import load_projections
from events import topics
from events.compute.server.facts import ServerFact
from events.fleet.allocation import AllocationClaimed, AllocationReleased
from events.log.contract import Log, Record
from events.log.records import Codec, context_of
from events.message import Message
from events.outcome import CommandRefused
from handlers.compute.drivers.simulated_guests import JOURNAL
from handlers.decider.partition import Partition
from tests.bench.sites import Site
from tests.chaos.check import check
from tests.chaos.history.caller import seen_of
from tests.chaos.history.entries import MARK, Fact, Guest, Recorder, Wrong
from tests.chaos.load import Ledger

READ_S = 120.0
_COPIED = ("project_id", "operation", "generation", "host", "hard", "unasked", "status")


def add_ending(site: Site, recorder: Recorder, since: int) -> None:
    """Wait until the site is at rest and write down what is there then, and what the log says
    since the moment ``since``."""
    load_projections()
    recorder.add(*(Wrong(sentence=sentence) for sentence in check(site, Ledger())))
    with closing(open_site_log(site.settings)) as log:
        recorder.add(*(fact for fact in facts(log) if fact.at >= since))
    recorder.add(*guests(site.data))


def facts(log: Log) -> Iterator[Fact]:
    """All that the log says about servers, in the order of each journal."""
    codec = Codec()
    found = {
        (topics.events(domain), number): Partition(domain, number, codec)
        for domain in ("compute", "fleet")
        for number in range(log.partitions(topics.events(domain)))
    }
    with closing(log.reader(dict.fromkeys(found, 0))) as reader:
        ends, limit = reader.ends(), time.monotonic() + READ_S
        while any(reader.positions()[source] < ends[source] for source in found):
            assert time.monotonic() < limit, "the events could not be read to their end"
            for record in reader.poll(1.0, 5000):
                partition = found[record.source]
                before = partition.position
                partition.fold(record)
                if partition.position > before:  # neither void nor a control record
                    fact = _fact(record, codec.decode(record.value), partition)
                    if fact is not None:
                        yield fact


def _fact(record: Record, event: Message, partition: Partition) -> Fact | None:
    fields: dict[str, Any] = {}
    if isinstance(event, ServerFact):
        state = partition.get("server", event.server_id)
        fields["server_id"] = event.server_id
        fields["state"] = None if state is None else seen_of(state)
        fields["mark"] = getattr(event, "metadata", {}).get(MARK, "")
    elif isinstance(event, AllocationClaimed | AllocationReleased):
        fields["server_id"] = event.server_id
    elif isinstance(event, CommandRefused) and event.target.startswith("server/"):
        fields["server_id"] = event.target.removeprefix("server/")
    else:
        return None
    for own, theirs in (("name", "server_name"), *((name, name) for name in _COPIED)):
        value = getattr(event, theirs, None)
        if value is not None:
            fields[own] = value
    return Fact(
        journal=f"{record.topic}/{record.partition}",
        position=partition.position,
        at=event.at,
        type=event.type_name,
        request_id=context_of(record).request_id,
        **fields,
    )


def guests(data: Path) -> Iterator[Guest]:
    """The guests in the simulated hosts' journals."""
    for journal in sorted((data / "instances").glob(f"*/{JOURNAL}")):
        found: dict[str, int] = {}
        for line in journal.read_bytes().splitlines():
            entry = json.loads(line)
            if guest := entry.get("guest"):
                found[guest["server_id"]] = guest.get("boots", 0)
            elif absent := entry.get("absent"):
                found.pop(absent, None)
        for server_id, boots in found.items():
            yield Guest(host=journal.parent.name, server_id=server_id, boots=boots)

"""Golden logs: one small log for each release, and the states that it folds to.

``python -m tests.schemas.golden_log`` (part of ``make schemas``) records that of this version, from
a simulated run, in ``tests/golden_log/<version>.json``, if there is none: each record and each
state on a line of its own. It never changes once the version is released: whatever comes later
has to fold it to the same states. Before, it may be deleted and recorded again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from chronova import __version__
from events.log.contract import Record
from events.log.records import Codec
from handlers.decider.partition import Partition
from tests.simulation.workloads import Workload
from tests.simulation.world import World

FOLDER = Path(__file__).parents[1] / "golden_log"
SEED, CLIENTS, COUNT = 3, 2, 12
OPERATIONS = {"boot": 3, "boot_several": 1, "delete": 2, "stop": 2, "start": 1, "reboot_soft": 1}


class Golden(msgspec.Struct):
    """A log's journals, and by kind and id the states that they fold to."""

    records: list[Record]
    states: dict[str, dict[str, Any]]


def path_of(version: str) -> Path:
    """Where the log of a release lies."""
    return FOLDER / f"{version}.json"


def read(path: Path) -> Golden:
    """A golden log."""
    return msgspec.json.decode(path.read_bytes(), type=Golden)


def fold(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """The states of all journals in ``records``, as plain values."""
    codec = Codec()
    partitions: dict[tuple[str, int], Partition] = {}
    for record in records:
        domain = record.topic.partition(".")[0]
        new = Partition(domain, record.partition, codec)
        partitions.setdefault(record.source, new).fold(record)
    states: dict[str, dict[str, Any]] = {}
    for partition in partitions.values():
        for kind, found in partition.states.items():
            plain = {id: msgspec.to_builtins(state, enc_hook=dict) for id, state in found.items()}
            states.setdefault(kind, {}).update(plain)
    result: dict[str, dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(states))
    return result


def recorded() -> Golden:
    """A simulated run without faults."""
    workload = Workload(
        name="golden", operations=OPERATIONS, clients=CLIENTS, count=COUNT, pauses_s=(0.1, 1.0, 5.0)
    )
    with World(SEED, workload, ()) as world:
        world.run()
        records = [
            record
            for (topic, _), partition in sorted(world.cluster.partitions.items())
            if topic.endswith(".events")
            for record in partition.records
        ]
    return Golden(records, fold(records))


def missing(kept: Any, now: Any, where: str = "") -> list[str]:
    """Where ``now`` lacks or changes what was ``kept``; what it has more is fine."""
    if isinstance(kept, dict) and isinstance(now, dict):
        gone = [f"{where}/{name} is gone" for name in kept.keys() - now.keys()]
        both = sorted(kept.keys() & now.keys())
        return gone + [one for n in both for one in missing(kept[n], now[n], f"{where}/{n}")]
    if isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        pairs = enumerate(zip(kept, now, strict=True))
        return [one for i, (k, n) in pairs for one in missing(k, n, f"{where}/{i}")]
    return [] if kept == now else [f"{where} was {kept!r} and is {now!r}"]


def content_of(golden: Golden) -> bytes:
    """The file of a golden log: JSON, each record and each state on a line."""
    records = (b"  " + msgspec.json.encode(record) for record in golden.records)
    kinds = (
        b"  %b: {\n%b\n  }" % (msgspec.json.encode(kind), b",\n".join(_members(states)))
        for kind, states in golden.states.items()
    )
    return b'{\n "records": [\n%b\n ],\n "states": {\n%b\n }\n}\n' % (
        b",\n".join(records),
        b",\n".join(kinds),
    )


def _members(states: dict[str, Any]) -> Iterator[bytes]:
    for id, state in states.items():
        yield b"   %b: %b" % (msgspec.json.encode(id), msgspec.json.encode(state))


def write_missing(version: str, folder: Path = FOLDER) -> int | None:
    """Record the log of ``version`` if there is none; the number of its records."""
    path = folder / path_of(version).name
    if path.exists():
        return None
    golden = recorded()
    folder.mkdir(exist_ok=True)
    path.write_bytes(content_of(golden))
    return len(golden.records)


if __name__ == "__main__":
    count = write_missing(__version__)
    said = "is there" if count is None else f"{count} records written"
    sys.stdout.write(f"golden_log/{path_of(__version__).name}: {said}\n")

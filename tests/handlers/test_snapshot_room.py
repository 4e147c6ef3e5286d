"""A snapshot that cannot be written is done without."""

from __future__ import annotations

from pathlib import Path

from events.log.records import Codec
from handlers.decider.partition import Partition
from handlers.decider.snapshot import Snapshots


def test_no_room_for_a_snapshot(tmp_path: Path) -> None:
    in_the_way = tmp_path / "snapshots"
    in_the_way.write_text("not a folder")
    snapshots = Snapshots(in_the_way, "log", threaded=False)
    partition = Partition("compute", 0, Codec())
    partition.position = 5
    snapshots.save(partition, [])
    (in_the_way).unlink()
    assert snapshots.load("compute", 0, Codec()).position == 0
    snapshots.save(partition, [])
    assert snapshots.load("compute", 0, Codec()).position == 5

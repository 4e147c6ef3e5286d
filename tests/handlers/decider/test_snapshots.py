"""A large partition never stops the loop: its snapshot is loaded in slices and saved elsewhere."""

from __future__ import annotations

import gc
import subprocess
import threading
import weakref
from pathlib import Path
from typing import Any

import msgspec
import pytest

import handlers.decider.loop
import handlers.decider.ownership as ownership
import handlers.decider.snapshot as snapshot
from events import topics
from events.aggregate import AGGREGATES
from events.compute.flavor import Flavor
from events.state_codec import encode_state
from handlers.decider.deadlines import STALE_MAX, Deadlines
from handlers.decider.snapshot import Snapshots
from tests.handlers.decider.booting import booting
from tests.handlers.decider.site import CODEC, Site, flavors, settle

COUNT = 30


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry in a piece, one piece in a slice."""
    monkeypatch.setattr(handlers.decider.loop, "SNAPSHOT_EVERY", 1)
    monkeypatch.setattr(snapshot, "PIECE", 1)
    monkeypatch.setattr(ownership, "SLICE_US", -1)


def made(site: Site, folder: Path) -> None:
    """Leave a snapshot of ``COUNT`` flavors."""
    first = site.decider("first", folder)
    for n in range(COUNT):
        site.ask_flavor(f"f{n}")
    settle(first)
    first.close()


def test_a_large_snapshot_is_loaded_in_slices_between_polls(
    small_slices: None, tmp_path: Path
) -> None:
    site = Site()
    made(site, tmp_path)
    polls: list[str] = []
    site.faults = lambda operation: polls.append(operation.name)
    second = site.decider("second", tmp_path)
    while second.states("compute", 0, "flavor") is None:
        second.step(0.0)
    assert len(flavors(second)) == COUNT
    before_the_term = polls[: polls.index("begin_term")]
    assert before_the_term.count("poll") >= COUNT, polls


def test_a_partition_that_is_lost_while_its_snapshot_is_loaded_is_loaded_anew(
    small_slices: None, tmp_path: Path
) -> None:
    site = Site()
    made(site, tmp_path)
    second = site.decider("second", tmp_path)
    for _ in range(COUNT // 2):
        second.step(0.0)
    (source,) = [key for key in second._ownership.owned if key[0] == "compute.commands"]
    second._ownership.lose(source)
    assert not second._ownership._loading, "half of a partition is kept in memory"
    second._ownership.gain([source])
    settle(second, turns=6 * COUNT)
    assert len(flavors(second)) == COUNT
    assert len(second._ownership.owned[source].partition.sequences) == COUNT


def test_states_are_encoded_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site()
    decider, server = booting(site)
    threads: list[int] = []

    def noted(state: Any) -> bytes:
        threads.append(threading.get_ident())
        return encode_state(state)

    monkeypatch.setattr(snapshot, "encode_state", noted)
    partition = decider._ownership.owned["compute.commands", 0].partition
    snapshots = Snapshots(tmp_path, "log")
    snapshots.save(partition, [])
    snapshots.close()
    assert threads
    assert threading.get_ident() not in threads
    loaded = snapshots.load("compute", 0, partition.codec)
    assert loaded.states == partition.states
    assert loaded.deadlines.next() == server.deadline


def test_a_saved_partition_is_that_of_the_moment_of_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on while a thread writes."""
    site = Site()
    decider = site.decider("first")
    site.ask_flavor("one")
    settle(decider)
    partition = decider._ownership.owned["compute.commands", 0].partition
    begun, go_on = threading.Event(), threading.Event()

    def slow(state: Any) -> bytes:
        begun.set()
        assert go_on.wait(10)
        return encode_state(state)

    monkeypatch.setattr(snapshot, "encode_state", slow)
    snapshots = Snapshots(tmp_path, "log")
    snapshots.save(partition, [])
    assert begun.wait(10)
    site.ask_flavor("two")
    settle(decider)
    go_on.set()
    snapshots.close()
    loaded = snapshots.load("compute", 0, partition.codec)
    assert set(loaded.states["flavor"]) == {"one"}
    assert loaded.offset < partition.offset
    assert loaded.sequences.keys() == {("flavor", "one")}


def test_what_no_mark_says_was_delivered_is_in_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log may be put back to a moment after the facts and before their delivery: no mark says
    then that it took place, and the snapshot must not either."""
    monkeypatch.setattr(handlers.decider.loop, "SNAPSHOT_EVERY", 1)
    site = Site()
    first = site.decider("first", tmp_path)
    ids = [site.ask_flavor("one")]
    settle(first)
    ids.append(site.ask_flavor("two"))
    settle(first)
    first.close()
    assert list(site.answers()) == ids
    site.cluster.partitions[topics.REPLIES, 0].records.clear()
    settle(site.decider("second", tmp_path), turns=20)
    assert list(site.answers()) == ids[1:], "the mark beside two says that one was told"


def test_a_lost_partition_leaves_no_garbage() -> None:
    """What is hidden from the collector is freed only if nothing in it points back to it."""
    site = Site()
    decider, _ = booting(site)
    gc.collect()
    gc.disable()
    try:
        lost = decider._ownership.lose(("compute.commands", 0))
        assert lost is not None
        partition = weakref.ref(lost.partition)
        state = weakref.ref(lost.partition.deadlines)
        del lost
        assert partition() is None
        assert state() is None
    finally:
        gc.enable()


def test_a_long_fold_leaves_no_more_deadlines_than_there_are() -> None:
    """H1: a million boots set three million deadlines, and none of them is left."""

    class State:
        deadline: int | None = None

    state = State()
    deadlines = Deadlines(lambda key: state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handlers.decider.deadlines.deadline_of", lambda key, state: state.deadline)
        for moment in range(10 * STALE_MAX):
            state.deadline = moment
            deadlines.note(("server", "one"), state.deadline)
        state.deadline = 5
        deadlines.note(("server", "one"), state.deadline)
        assert len(deadlines._heap) <= STALE_MAX + 3
        assert deadlines.next() == 5


def test_what_a_killed_process_left_of_a_snapshot_is_removed(tmp_path: Path) -> None:
    site = Site()
    dead = subprocess.run(["sh", "-c", "echo $$"], check=True, capture_output=True, text=True)
    left = tmp_path / f"compute-0.{dead.stdout.strip()}.new"
    running = tmp_path / "compute-0.1.new"
    for path in (left, running):
        path.write_bytes(b"half")
    decider = site.decider("first", snapshots=tmp_path)
    site.ask_flavor("one")
    settle(decider)
    decider.close()
    assert (tmp_path / "compute-0.snapshot").exists()
    assert (left.exists(), running.exists()) == (False, True)


class Otherwise(Flavor, frozen=True, kw_only=True):
    """A flavor as another version keeps it."""

    weight: int = 1


@pytest.mark.parametrize("other", ["nothing", "fold_version", "shape", "log"])
def test_a_snapshot_of_another_version_or_log_is_not_believed(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its states would stay wrong for ever, and nothing would say so."""
    site = Site()
    made(site, tmp_path)
    log_id = site.log("second").identity()
    if other == "fold_version":
        monkeypatch.setattr(snapshot, "FOLD_VERSION", snapshot.FOLD_VERSION + 1)
    elif other == "shape":
        kept = msgspec.structs.replace(AGGREGATES["flavor"], state=Otherwise)
        monkeypatch.setitem(AGGREGATES, "flavor", kept)
    elif other == "log":
        log_id += "-2"
    loaded = Snapshots(tmp_path, log_id).load("compute", 0, CODEC)
    assert len(loaded.states["flavor"]) == loaded.position == (COUNT if other == "nothing" else 0)
    assert (tmp_path / "compute-0.snapshot").exists() == (other == "nothing")
    second = site.decider("second", tmp_path)
    settle(second)
    assert len(flavors(second)) == COUNT, "it is folded from the journal"

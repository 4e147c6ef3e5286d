"""What a new owner of a partition may rely on: snapshots, deadlines, effects, membership."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

import commands.compute.overdue as overdue
import handlers.decider.loop
import handlers.decider.ownership as ownership
import handlers.reactions
from commands.compute.boot import BuildGuest
from events import topics
from events.compute.server import Server
from events.log.contract import Record
from events.log.memory import Crash, Fault, Operation
from events.message import Event
from events.outcome import CommandFailed
from handlers.decider import Decider
from handlers.decider.owned import GRACE_US, LONG_FOLD_US
from handlers.decider.partition import REMEMBERED_US, Partition
from handlers.decider.snapshot import Snapshots
from tests.commands.compute.servers import create
from tests.commands.fleet.fleet import register
from tests.handlers.decider.booting import booting
from tests.handlers.decider.site import CODEC, HOST, Site, flavors, settle

SNAPSHOT = "compute-0.snapshot"


@pytest.fixture(autouse=True)
def small_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers.decider.loop, "SNAPSHOT_EVERY", 1)


def with_snapshot(site: Site, folder: Path, *names: str) -> Decider:
    decider = site.decider("first", folder)
    for name in names:
        site.ask_flavor(name)
        settle(decider)
    assert (folder / SNAPSHOT).exists()
    return decider


def test_a_snapshot_spares_the_fold_of_what_it_holds(tmp_path: Path) -> None:
    site = Site()
    with_snapshot(site, tmp_path, "one", "two").close()
    read: list[int] = []
    second = site.decider("second", tmp_path)
    right = Partition.fold

    def fold(self: Partition, record: Record) -> None:
        if self.domain == "compute":
            read.append(record.offset)
        right(self, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Partition, "fold", fold)
        settle(second)
    assert flavors(second) == {"one", "two"}
    assert len(read) == 2, "the record that proves the snapshot, and the beginning of the term"


@pytest.mark.parametrize("readable", [True, False])
def test_garbage_is_collected_again_after_a_fold(readable: bool) -> None:
    """Also where the journal cannot be folded to its end."""
    site = Site()
    site.ask_flavor("one")
    first = site.decider("first")
    settle(first)
    first.close()
    right, enabled = Partition.fold, []

    def fold(self: Partition, record: Record) -> None:
        enabled.append(gc.isenabled())
        if not readable:
            raise RuntimeError("a defect")
        right(self, record)

    second = site.decider("second")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Partition, "fold", fold)
        with nullcontext() if readable else pytest.raises(RuntimeError):
            settle(second)
    assert set(enabled) == {False}
    assert gc.isenabled()


def test_a_snapshot_that_is_ahead_of_its_log_is_dropped(tmp_path: Path) -> None:
    """C3: the log was restored from an older copy."""
    site = Site()
    with_snapshot(site, tmp_path, "one", "two").close()
    journal = site.cluster.partitions["compute.events", 0]
    del journal.records[2:]
    commands = site.cluster.partitions["compute.commands", 0]
    del commands.records[1:]
    second = site.decider("second", tmp_path)
    settle(second)
    assert flavors(second) == {"one"}
    site.ask_flavor("three")
    settle(second)
    assert [r.headers["ce_position"] for r in site.events()] == ["1", "2"]


def test_a_snapshot_of_other_records_of_the_same_length_is_dropped(tmp_path: Path) -> None:
    """C3: as after a restore that was written on meanwhile."""
    one, other = Site(), Site()
    with_snapshot(one, tmp_path, "one", "two").close()
    with_snapshot(other, tmp_path / "other", "three", "four", "five").close()
    successor = other.decider("successor", tmp_path)
    settle(successor)
    assert flavors(successor) == {"three", "four", "five"}


def test_a_snapshot_that_another_decider_has_dropped_meanwhile_is_dropped(tmp_path: Path) -> None:
    """Two deciders of a machine keep theirs in one folder. Without its file the state that was
    loaded from it stayed, and with it the partition was ill for ever."""
    site = Site()
    with_snapshot(site, tmp_path, "one", "two").close()
    journal = site.cluster.partitions["compute.events", 0]
    last = journal.records[-1]
    journal.records[-1] = msgspec.structs.replace(last, key="other")
    second = site.decider("second", tmp_path)
    right = Partition.fold

    def fold(self: Partition, record: Record) -> None:
        (tmp_path / SNAPSHOT).unlink(missing_ok=True)
        right(self, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Partition, "fold", fold)
        settle(second)
    assert flavors(second) == {"one", "two"}


def test_a_refusal_that_was_said_twice_stays_one() -> None:
    """The second time it stands in a mark. Who folded that called the command accepted when it
    came a third time."""
    site = Site()
    site.ask_flavor("one")
    id = site.ask_flavor("one", id="taken")
    first = site.decider("first")
    settle(first)
    for process in ("second", "third"):
        site.ask_flavor("one", id="taken")
        settle(first)
        first.close()
        first = site.decider(process)
        settle(first)
    assert {reply.status for reply in site.answers()[id]} == {409}


def test_ids_are_remembered_although_a_clock_is_ahead() -> None:
    """An owner whose clock was minutes ahead forgot all that was decided just before."""
    site = Site()
    first = site.decider("first")
    site.ask_flavor("one", id="known")
    settle(first)
    first.close()
    site.now += 2 * REMEMBERED_US
    second = site.decider("second")
    site.ask_flavor("two")
    settle(second)
    site.ask_flavor("one", id="known")
    settle(second)
    assert {reply.status for reply in site.answers()["known"]} == {0}


def test_a_damaged_snapshot_is_dropped(tmp_path: Path) -> None:
    """F18: whichever byte was changed, all is as if there had been none."""
    site = Site()
    with_snapshot(site, tmp_path, "one", "two").close()
    file = tmp_path / SNAPSHOT
    right = file.read_bytes()
    snapshots = Snapshots(tmp_path, site.log("first").identity())
    assert snapshots.load("compute", 0, CODEC).position == 2
    for at in range(len(right)):
        damaged = bytearray(right)
        damaged[at] ^= 1 << (at % 8)
        file.write_bytes(bytes(damaged))
        assert content(snapshots.load("compute", 0, CODEC)) == content(
            Partition("compute", 0, CODEC)
        ), f"byte {at} of {len(right)}"
    for length in range(len(right)):
        file.write_bytes(right[:length])
        assert snapshots.load("compute", 0, CODEC).position == 0
    successor = site.decider("successor", tmp_path)
    settle(successor)
    assert flavors(successor) == {"one", "two"}


def content(partition: Partition) -> tuple[object, ...]:
    """All that a snapshot holds of a partition."""
    counts = (partition.position, partition.offset, partition.term, partition.last_at)
    hashes = (partition.hash, partition.last_hash, partition.proof)
    known = (partition.sequences, dict(partition.remembered), partition.in_flight)
    return (partition.states, *known, *counts, *hashes, partition.marks, partition.kept_effects)


def test_effects_that_were_not_delivered_are_in_the_snapshot(tmp_path: Path) -> None:
    """Its owner ends after the commit, and after a snapshot, before anything was delivered."""
    site = Site()
    first = site.decider("first", tmp_path)
    settle(first)
    id = site.ask_flavor("one")

    def no_appends(operation: Operation) -> Fault | None:
        away = operation.name == "append" and operation.process == "first"
        return Fault.UNAVAILABLE if away else None

    site.faults = no_appends
    settle(first)
    first.close()
    assert id not in site.answers()
    site.faults = lambda operation: None
    second = site.decider("second", tmp_path)
    settle(second)
    assert [answer.status for answer in site.answers()[id]] == [0]


@pytest.mark.parametrize("operation", ["commit", "append"])
@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
@pytest.mark.parametrize("handing_over", [True, False])
def test_a_boot_survives_the_end_of_its_deciders_at_every_write(
    operation: str, fault: Fault, handing_over: bool
) -> None:
    """Killed at each of its writes, before it and after it: everything happens once."""
    for at in range(1, 9):
        _boot_with_a_death(operation, fault, handing_over, at)


def _boot_with_a_death(operation: str, fault: Fault, handing_over: bool, at: int) -> None:
    site = Site()
    asked = create()
    domains = ("compute", "fleet")
    first = site.decider("first", domains=domains, handing_over=handing_over)
    settle(first)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(first)
    writes = 0

    def strike(one: Operation) -> Fault | None:
        nonlocal writes
        if (one.process, one.name) != ("first", operation):
            return None
        writes += 1
        return fault if writes == at else None

    site.faults = strike
    id = site.ask(asked, asked.project_id)
    try:
        settle(first)
    except Crash:
        first._log.expel()  # type: ignore[attr-defined]
    else:
        first.close()
    site.faults = lambda operation: None
    settle(site.decider("second", domains=domains, handing_over=handing_over), turns=12)
    types = [r.headers["ce_type"].removeprefix("chronova.") for r in site.events()]
    assert types == ["compute.ServerCreated", "compute.ServersRequested", "compute.HostSelected"]
    claims = [r for r in site.events("fleet") if "AllocationClaimed" in r.headers["ce_type"]]
    assert len(claims) == 1
    work = site.records(topics.dispatch(HOST))
    assert {r.headers["ce_id"] for r in work} == {work[0].headers["ce_id"]}, "one piece of work"
    assert isinstance(CODEC.decode(work[0].value), BuildGuest)
    assert {answer.status for answer in site.answers()[id]} == {0}


def test_a_timeout_belongs_to_the_request_that_it_ends() -> None:
    """M4: who waited for it finds it in the same request."""
    site = Site()
    first, _ = booting(site)
    site.now += 3_600_000_000
    settle(first)
    site.now += GRACE_US + 1
    settle(first)
    created, *_, ended = site.events()
    assert "BootFailed" in ended.headers["ce_type"], ended.headers
    assert ended.headers["ce_requestid"] == created.headers["ce_requestid"]


def test_a_way_out_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """H11: with pauses, and by later owners too."""
    site = Site()
    first, server = booting(site)
    right = overdue.way_out

    def defect(server: Server, task: str, at: int, reason: str) -> list[Event]:
        raise RuntimeError("a defect")

    monkeypatch.setattr(overdue, "way_out", defect)
    site.now += 3_600_000_000
    settle(first)
    site.now += GRACE_US + 1
    settle(first)
    failures = [r for r in site.events() if isinstance(CODEC.decode(r.value), CommandFailed)]
    assert failures
    monkeypatch.setattr(overdue, "way_out", right)
    site.now += 5_000_000
    settle(first)
    states = first.states("compute", 0, "server")
    assert states is not None and states[server.server_id].vm_state == "error"


def test_a_takeover_of_any_length_keeps_its_membership(monkeypatch: pytest.MonkeyPatch) -> None:
    """H1: it folds a slice, and polls."""
    monkeypatch.setattr(ownership, "SLICE_RECORDS", 3)
    site = Site()
    first = site.decider("first")
    for n in range(30):
        site.ask_flavor(f"f{n}")
    settle(first)
    first.close()
    polls: list[str] = []
    site.faults = lambda operation: polls.append(operation.name)
    second = site.decider("second")
    settle(second, turns=30)
    assert len(flavors(second)) == 30
    folding = polls.count("reader.poll")
    assert folding >= 10, polls
    positions = [n for n, name in enumerate(polls) if name == "reader.poll"]
    between = [polls[a:b] for a, b in pairwise(positions)]
    assert all("poll" in names for names in between), between


def test_a_takeover_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked why nobody decides was told that nobody answers."""
    monkeypatch.setattr(ownership, "SLICE_RECORDS", 3)
    site = Site()
    first = site.decider("first")
    for n in range(30):
        site.ask_flavor(f"f{n}")
    settle(first)
    first.close()
    second = site.decider("second")
    for _ in range(3):
        second.step(0.0)
    assert second.unfolded() > 0
    assert second.troubles() == [], "it takes no time yet"
    with capture_logs() as logged:
        site.now += LONG_FOLD_US
        told = []
        while second.states("compute", 0, "flavor") is None:
            told.append((second.unfolded(), second.troubles()))
            second.step(0.0)
    assert len(told) > 3
    end = len(site.records(topics.events("compute")))
    for left, troubles in told:
        sentence = f"is folded before it decides, {end - left} of {end} records so far"
        assert troubles == [f"compute.events/0 {sentence}"]
    assert len({left for left, _ in told}) == len(told), "it goes on"
    assert [one["event"] for one in logged if one["event"] == "folding"] == ["folding"]
    assert (second.unfolded(), second.troubles()) == (0, [])

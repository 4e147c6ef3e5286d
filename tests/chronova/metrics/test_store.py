"""Figures of several processes in one folder: added up, kept over restarts, without the dead's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chronova.metrics.meters import DeciderMeters
from chronova.metrics.store import Exposition, Store
from handlers.decider.draft import Decided

OTHER = """
import sys
from pathlib import Path
from chronova.metrics.meters import AgentMeters
from chronova.metrics.store import Store
store = Store(Path(sys.argv[1]), "agent")
meters = AgentMeters(store)
meters.work("compute.BuildGuest", "done", 0.2)
meters.pending(int(sys.argv[2]))
print(store.identity, flush=True)
sys.stdin.read()
"""


@contextmanager
def agent(folder: Path, pending: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Another process that has done one piece of work; its place."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder), str(pending)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def figures(folder: Path, role: str = "*") -> dict[str, float]:
    """By name and labels, without the buckets."""
    text = Exposition(folder, role).render().decode()
    return {
        f"{s.name}{sorted(s.labels.values())}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if not s.name.endswith("_bucket")
    }


DONE = "chronova_agent_work_total['compute.BuildGuest', 'done']"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path, "decider")
    yield made
    made.close()


def test_processes_are_added_up(store: Store) -> None:
    meters = DeciderMeters(store)
    meters.batch([Decided("compute.StopServer", "accepted", 2, 0.004)], 0.01)
    meters.owns(37)
    meters.waiting(2, 500)
    with agent(store.folder, 3) as (first, _), agent(store.folder, 4) as (second, _):
        assert [first, second] == ["agent-0", "agent-1"]
        seen = figures(store.folder)
    assert seen[DONE] == 2
    assert seen["chronova_agent_pending[]"] == 7
    assert seen["chronova_decider_partitions[]"] == 37
    assert seen["chronova_decider_waiting[]"] == 2
    assert seen["chronova_decider_unfolded_records[]"] == 500
    assert seen["chronova_decider_events_total[]"] == 2
    assert seen["chronova_decider_batch_commands_count[]"] == 1


def test_a_killed_process_leaves_its_counters_and_not_its_gauges(store: Store) -> None:
    with agent(store.folder, 3) as (_, process):
        process.kill()
        process.wait(10)
        seen = figures(store.folder)
        assert seen[DONE] == 1
        assert "chronova_agent_pending[]" not in seen


def test_the_next_process_goes_on_in_the_same_place(store: Store) -> None:
    for _ in range(3):
        with agent(store.folder, 1) as (place, _):
            assert place == "agent-0"
    assert figures(store.folder)[DONE] == 3
    assert len(list(store.folder.glob("*.place"))) == 2


def test_the_first_process_begins_with_an_empty_folder(tmp_path: Path) -> None:
    with agent(tmp_path, 1):
        pass
    assert figures(tmp_path)[DONE] == 1
    again = Store(tmp_path, "decider")
    try:
        assert figures(tmp_path) == {}
    finally:
        again.close()


def test_a_torn_file_is_begun_anew(store: Store) -> None:
    with agent(store.folder, 1):
        pass
    for torn in store.folder.glob("counter_agent-0.db"):
        torn.write_bytes(b"\xff\xff\x00\x00" + b"\x07" * 64)
    with agent(store.folder, 1) as (place, _):
        assert place == "agent-0"
        assert figures(store.folder)[DONE] == 1


def test_one_role_alone(store: Store) -> None:
    DeciderMeters(store).owns(1)
    with agent(store.folder, 1):
        assert "chronova_decider_partitions[]" not in figures(store.folder, "agent")
        assert figures(store.folder, "agent")[DONE] == 1


def test_a_type_that_nobody_knows_makes_no_label(store: Store) -> None:
    meters = DeciderMeters(store)
    for number in range(50):
        meters.batch([Decided(f"compute.Invented{number}", "failed", 1)], 0.01)
    names = [name for name in figures(store.folder) if "decisions_total" in name]
    assert names == ["chronova_decider_decisions_total['failed', 'unknown']"]

"""Seeds, a few for every day and more for CI: ``make sim SEEDS=2000`` runs as many as one likes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.faults import NAMES
from tests.simulation.runner import pairs, run_seed
from tests.simulation.workloads import OPERATIONS, WORKLOADS

DIGEST = (
    "from tests.simulation.runner import run_seed;"
    "print(run_seed(3, 'everything', ('crash', 'failure', 'restart'), digest=True).digest)"
)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_seeds_hold_all_invariants(first: int) -> None:
    for seed in range(first, first + 10):
        outcome = run_seed(seed)
        assert not outcome.violation, f"{outcome.command}\n{outcome.violation}\n{outcome.story}"


@pytest.mark.long
def test_pairs_of_faults_hold_all_invariants(capsys: pytest.CaptureFixture[str]) -> None:
    """With the seeds above 300. ``make sim SEEDS=5000 PAIRS=1`` runs each pair three times."""
    failed = main(["--pairs", "--seeds", "260", "--seed", "1000"])
    assert not failed, capsys.readouterr().out


def test_pairs_are_all_and_come_evenly() -> None:
    every = pairs()
    count = len(WORKLOADS) * len(NAMES) * (len(NAMES) - 1) // 2
    assert len(every) == len(set(every)) == count
    assert {workload for workload, _ in every[:200]} == set(WORKLOADS)


def test_the_same_seed_gives_the_same_bytes_in_any_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            check=True,
            timeout=60,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_every_operation_belongs_to_a_workload() -> None:
    assert {name for one in WORKLOADS.values() for name in one.operations} == set(OPERATIONS)


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--workload", "boots", "--faults", "none"]) == 0
    assert "transitions seen" in capsys.readouterr().out


def test_the_command_that_is_told_runs_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the names of its faults have spaces."""
    outcome = run_seed(7, "boots", ("clock", "far clock"))
    asked = shlex.split(outcome.command)
    assert asked[:3] == ["python", "-m", "tests.simulation"]
    assert main(asked[3:]) == 0
    told = capsys.readouterr().out
    assert f"events           │ {outcome.events} " in told


def test_an_unknown_fault_is_refused_with_a_sentence() -> None:
    with pytest.raises(SystemExit, match="There is no fault meteor"):
        main(["--faults", "meteor"])

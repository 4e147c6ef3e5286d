"""``python -m tests.simulation --seeds N [--seed S] [--workload W] [--faults F,G|all|none]``.

``--pairs`` instead of workload and faults: every workload with every pair of faults, evenly.
Runs seeds, shows how far it is, ends with a table. A seed that fails prints its story and the
command that runs it again; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation import transitions
from tests.simulation.faults import DRAWN, NAMES
from tests.simulation.runner import Outcome, run_seed
from tests.simulation.workloads import WORKLOADS

STORIES_MAX = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    asked = _parser().parse_args(arguments)
    names = None if asked.faults is None else _names(asked.faults)
    seeds = range(asked.seed, asked.seed + asked.seeds)
    console = Console()
    outcomes: list[Outcome] = []
    with Progress(
        TextColumn("simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} a minute"),
        TextColumn("{task.fields[failed]} failed"),
        TextColumn("ends in"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        shown = bar.add_task("", total=len(seeds), failed=0, rate="-")
        failed, began = 0, time.monotonic()
        for outcome in _outcomes(asked, seeds, names):
            outcomes.append(outcome)
            if outcome.violation:
                failed += 1
                if failed <= STORIES_MAX:
                    _tell(console, outcome)
            rate = 60 * len(outcomes) / max(time.monotonic() - began, 1e-9)
            bar.update(shown, advance=1, failed=failed, rate=f"{rate:.0f}")
    _table(console, outcomes)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_count, default=1, help="how many seeds")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), help="default: drawn")
    parser.add_argument("--faults", help=f"of {', '.join(NAMES)}; all; none; default: drawn")
    parser.add_argument(
        "--pairs", action="store_true", help="every workload with every pair of faults, evenly"
    )
    jobs = os.cpu_count() or 1
    parser.add_argument("--jobs", type=_count, default=jobs, help="processes at once")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no count")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    if text in ("all", "none"):
        return DRAWN if text == "all" else ()
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"There is no fault {', '.join(unknown)}; there are {', '.join(NAMES)}.")
    return names


def _outcomes(
    asked: argparse.Namespace, seeds: Sequence[int], names: Sequence[str] | None
) -> Iterator[Outcome]:
    jobs: int = asked.jobs
    run = partial(run_seed, workload=asked.workload, names=names, paired=asked.pairs)
    if jobs == 1 or len(seeds) == 1:
        yield from map(run, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, os.cpu_count() or 1)) as pool:
        yield from pool.imap_unordered(run, seeds, chunksize=4)


def _tell(console: Console, outcome: Outcome) -> None:
    console.print(f"[red]seed {outcome.seed}: {outcome.violation}[/red]", highlight=False)
    console.print(outcome.story, highlight=False, markup=False)
    console.print(f"Again: {outcome.command}", highlight=False, markup=False)


def _table(console: Console, outcomes: Sequence[Outcome]) -> None:
    table = Table(show_header=False)
    seconds = sum(one.seconds for one in outcomes)
    facts: Counter[str] = sum((one.facts for one in outcomes), Counter())
    struck: Counter[str] = sum((one.struck for one in outcomes), Counter())
    asked: Counter[str] = sum((one.operations for one in outcomes), Counter())
    seen = sum(1 for fact in facts if fact in transitions.KNOWN)
    failed = [one.seed for one in outcomes if one.violation]
    for name, value in (
        ("seeds", f"{len(outcomes)}, {60 * len(outcomes) / max(seconds, 1e-9):.0f} a minute each"),
        ("operations", f"{asked.total()}: {_counted(asked)}"),
        ("steps", f"{sum(one.steps for one in outcomes)}"),
        ("virtual time", f"{sum(one.virtual_s for one in outcomes) / 3600:.1f} h"),
        ("events", f"{sum(one.events for one in outcomes)}"),
        ("faults", f"{struck.total()}: {_counted(struck)}"),
        ("transitions seen", f"{seen} of {len(transitions.KNOWN)}"),
        ("failed", f"{len(failed)} {failed[:20] if failed else ''}"),
    ):
        table.add_row(name, value)
    console.print(table)


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())

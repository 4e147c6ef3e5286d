"""Say at the end of a test run why tests were skipped: one line for each reason.

A pytest plug-in; scripts/run-tests loads it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import pytest


def lines(skips: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield one line for each reason, the most frequent first. ``skips``: (file, reason) of each
    skipped test or file."""
    counts: Counter[str] = Counter()
    files: dict[str, set[str]] = defaultdict(set)
    for file, reason in skips:
        counts[reason] += 1
        files[reason].add(file)
    for reason, count in counts.most_common():
        yield f"{count:4} skipped: {reason} ({', '.join(sorted(files[reason]))})"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines; pytest's own last line says how many passed and were skipped."""
    for line in lines(map(_skip, terminalreporter.stats.get("skipped", []))):
        terminalreporter.write_line(line)


def _skip(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str]:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return report.nodeid.partition("::")[0], reason.removeprefix("Skipped: ")

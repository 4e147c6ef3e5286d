"""Every thread is watched: one that ends by a defect is noticed by somebody who acts on it."""

from __future__ import annotations

import ast

from tests.tidy.tree import ROOMS, calls, dotted, files, imports, parsed

STARTS = {"Thread", "Timer", "start_new_thread", "start_joinable_thread"}

WATCHES = {
    "events/log/supervised.py": "ends the process",
    "chronova/watched.py": "wakes the main thread, whose check raises it",
    "chronova/roles/decider.py": "wakes the main thread, which raises it",
    "handlers/performer/pool.py": "logs and counts it, and goes on with the next call",
    "handlers/decider/loop.py": "wakes the loop, which raises it",
    "handlers/decider/snapshot.py": "logs it: the next owner folds more",
    "handlers/compute/drivers/libvirt_connection.py": "tells who waits for the connection",
    "handlers/compute/drivers/libvirt_probe.py": "tells who waits for the probe",
    "projections/crew.py": "ends the others, and the caller raises it",
    "api/health/checks.py": "is the part's answer",
    "api/health/pulse.py": "a domain that does not answer is ill, and asked anew",
    "api/log_replies.py": "the bus makes others when these have ended",
    "events/log/postgres_listener.py": "begins again",
}
"""The files that start threads by themselves, and what each does about one that ends. All others
use ``supervised``, ``Watched`` or a pool."""


def test_threads_are_started_where_somebody_watches_them() -> None:
    started = {
        str(use): use.file
        for file in files(*ROOMS)
        for use in (*calls(file), *imports(file))
        if use.name.rpartition(".")[2] in STARTS
    }
    assert [use for use, file in started.items() if file not in WATCHES] == []
    assert WATCHES.keys() - started.values() == set(), "an exception is kept for nothing"


def test_no_class_is_a_thread() -> None:
    """It would be started under a name that nobody looks for."""
    wrong = [
        f"{file}:{node.lineno}: {node.name}"
        for file in files(*ROOMS)
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.ClassDef)
        if any(dotted(each).rpartition(".")[2] in STARTS for each in node.bases)
    ]
    assert wrong == []

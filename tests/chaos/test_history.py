"""Histories of real clients while everything is killed, frozen, full or put back: promises hold.

A minute on each log; ``make chaos`` takes ten. A history that shows a violation is kept, its file
is named.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench.sites import Site, site
from tests.chaos.history.checker import violations
from tests.chaos.history.entries import SECOND, Fault, History, Request, read
from tests.chaos.history.reads import stale
from tests.chaos.history.run import SETTINGS, run
from tests.chaos.rounds import prepare
from tests.chaos.small_disk import NoSmallDisk, small_disk

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SECONDS = 60.0
DISK_MIB = 450
DONE_MIN = {"boot 202": 5, "stop 202": 3, "start 202": 2, "reboot 202": 3, "metadata 200": 5}
DONE_MIN |= {"delete 204": 1, "show 200": 50, "list 200": 10}
"""What a history has to hold so that it proves anything."""


@pytest.fixture(scope="module", params=["postgres", "kafka"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Path | None]]:
    """A site on a disk that may be filled, where one can be mounted; and that disk."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with ExitStack() as stack:
        disk: Path | None = None
        try:
            disk = stack.enter_context(small_disk(DISK_MIB))
        except NoSmallDisk:
            disk = None
        running = stack.enter_context(
            site(request.param, port=port, folder=disk, settings=SETTINGS)
        )
        prepare(running)
        yield running, disk


def test_a_history_under_faults(place: tuple[Site, Path | None], tmp_path: Path) -> None:
    running, disk = place
    path = tmp_path / "history.jsonl"
    run(running, path, 20261127, SECONDS, away_s=3.0, every_s=2.0, disk=disk)
    entries = read(path)
    wrong = violations(entries)
    if wrong:
        kept = Path(tempfile.mkdtemp(prefix="chronova-history-")) / path.name
        shutil.copy(path, kept)
        pytest.fail(f"{kept}: {len(wrong)} violations: {wrong[:5]}")
    requests = [entry for entry in entries if isinstance(entry, Request)]
    done = Counter(f"{request.operation} {request.status}" for request in requests)
    assert {what: count for what, count in done.items() if count < DONE_MIN.get(what, 0)} == {}
    assert DONE_MIN.keys() <= done.keys()
    assert sum(isinstance(entry, Fault) for entry in entries) >= 5


def test_a_projector_that_lags_is_seen_where_answers_do_not_wait(
    place: tuple[Site, Path | None], tmp_path: Path
) -> None:
    """A frozen projector shows nothing new. The API waits two seconds and answers all the same;
    a checker that grants it less calls that a read behind a write."""
    running, _ = place
    path = tmp_path / "history.jsonl"
    run(running, path, 7, 8.0, only=("freeze projector",))
    entries = read(path)
    assert violations(entries) == []
    found = {violation.kind for violation in stale(History(entries), visible_us=60 * SECOND)}
    assert "behind a write" in found

"""Histories of real clients while everything is killed, frozen or full: promises hold.

A minute on each log; ``make chaos`` takes ten, and it alone puts the log back as well: that takes a
minute of its own. Where no disk can be mounted that gets full, a skipped test says so. A history
that shows a violation is kept, its file is named.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from tests.bench.sites import Site, site
from tests.chaos.history.checker import violations
from tests.chaos.history.entries import SECOND, Entry, Fault, History, Request, read
from tests.chaos.history.reads import stale
from tests.chaos.history.run import SETTINGS, run
from tests.chaos.rounds import prepare
from tests.chaos.small_disk import NoSmallDisk, small_disk

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SECONDS = 60.0
TURN_S = 4.0
"""Room for one fault to begin."""
DISK_MIB = 450
DONE_MIN = {"boot 202": 5, "stop 202": 3, "start 202": 2, "reboot 202": 3, "metadata 200": 5}
DONE_MIN |= {"delete 204": 1, "show 200": 50, "list 200": 10}
"""What a history has to hold so that it proves anything."""


class Place(msgspec.Struct):
    """A site on a disk that may be filled, where one can be mounted; and that disk."""

    site: Site
    disk: Path | None
    why: str
    """Why there is no such disk."""
    names: set[str] = msgspec.field(default_factory=set)
    """The faults that were inflicted."""


@pytest.fixture(scope="module", params=["postgres", "kafka"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with ExitStack() as stack:
        disk: Path | None = None
        why = ""
        try:
            disk = stack.enter_context(small_disk(DISK_MIB))
        except NoSmallDisk as error:
            why = str(error)
        running = stack.enter_context(
            site(request.param, port=port, folder=disk, settings=SETTINGS)
        )
        prepare(running)
        yield Place(running, disk, why)


def sound(path: Path) -> list[Entry]:
    """The entries of a history without violations."""
    entries = read(path)
    wrong = violations(entries)
    if wrong:
        kept = Path(tempfile.mkdtemp(prefix="chronova-history-")) / path.name
        shutil.copy(path, kept)
        pytest.fail(f"{kept}: {len(wrong)} violations: {wrong[:5]}")
    return entries


def test_a_history_under_faults(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    run(place.site, path, 20261127, SECONDS, away_s=3.0, every_s=2.0, disk=place.disk)
    entries = sound(path)
    requests = [entry for entry in entries if isinstance(entry, Request)]
    done = Counter(f"{request.operation} {request.status}" for request in requests)
    assert {what: count for what, count in done.items() if count < DONE_MIN.get(what, 0)} == {}
    assert DONE_MIN.keys() <= done.keys()
    faults = [entry.name for entry in entries if isinstance(entry, Fault)]
    assert len(faults) >= 5
    place.names.update(faults)


def test_a_projector_that_lags_is_seen_where_answers_do_not_wait(
    place: Place, tmp_path: Path
) -> None:
    """A frozen projector shows nothing new. The API waits two seconds and answers all the same;
    a checker that grants it less calls that a read behind a write."""
    path = tmp_path / "history.jsonl"
    run(place.site, path, 7, 8.0, only=("freeze projector",))
    entries = read(path)
    assert violations(entries) == []
    found = {violation.kind for violation in stale(History(entries), visible_us=60 * SECOND)}
    assert "behind a write" in found


def test_a_disk_that_is_full_was_among_the_faults(place: Place, tmp_path: Path) -> None:
    """Where there is one. A minute is too short for all faults: it may be its turn only now."""
    if place.disk is None:
        pytest.skip(f"no disk was filled: {place.why}")
    if "full disk" not in place.names:
        path = tmp_path / "history.jsonl"
        run(place.site, path, 11, TURN_S, only=("full disk",), disk=place.disk)
        names = {entry.name for entry in sound(path) if isinstance(entry, Fault)}
        assert names == {"full disk"}

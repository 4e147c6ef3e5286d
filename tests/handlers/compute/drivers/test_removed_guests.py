"""The list of removed guests, after a crash in the middle of a line."""

from __future__ import annotations

from pathlib import Path

from handlers.compute.drivers.removed_guests import RemovedGuests
from handlers.performer.mark import Mark


def test_a_torn_line_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "removed.guests"
    RemovedGuests(path).add("one", "p", Mark(version=(1, 1, 0), stage="removed"))
    with path.open("ab") as file:
        file.write(b'{"server_id":"to')
    RemovedGuests(path).add("two", "p", Mark(version=(1, 2, 0), stage="removed"))
    RemovedGuests(path).add("three", "p", Mark(version=(1, 3, 0), stage="removed"))
    assert [one.server_id for one in RemovedGuests(path).all()] == ["one", "two", "three"]

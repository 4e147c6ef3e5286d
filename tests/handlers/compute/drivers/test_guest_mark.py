from __future__ import annotations

from pathlib import Path

import pytest

from handlers.compute.drivers import defined_guests, guest_mark
from handlers.compute.drivers.contract import DriverError
from handlers.performer.mark import Mark

BEGUN = Mark(version=(1, 2, 0), stage="begun", before="7")
DONE = Mark(version=(1, 2, 0), stage="done", report="compute.ReportGuestStopped", fields={"a": 1})


def test_the_last_mark_counts(tmp_path: Path) -> None:
    assert guest_mark.read(tmp_path) is None
    for mark in (BEGUN, DONE):
        guest_mark.write(tmp_path, mark)
        assert guest_mark.read(tmp_path) == mark
    assert [path.name for path in tmp_path.iterdir()] == [guest_mark.FILE]


def test_a_guest_without_files_has_no_mark(tmp_path: Path) -> None:
    guest_mark.write(tmp_path / "gone", DONE)
    assert not (tmp_path / "gone").exists()


def test_a_half_written_mark_leaves_the_old_one(tmp_path: Path) -> None:
    guest_mark.write(tmp_path, BEGUN)
    (tmp_path / f"{guest_mark.FILE}.new").write_bytes(b'{"version":[1,')
    assert guest_mark.read(tmp_path) == BEGUN


def test_an_unreadable_mark_is_none(tmp_path: Path) -> None:
    (tmp_path / guest_mark.FILE).write_bytes(b"?")
    assert guest_mark.read(tmp_path) is None


def test_a_mark_that_the_disk_does_not_give_is_an_error_of_the_driver(tmp_path: Path) -> None:
    """No defect: whoever looks at many guests goes on with the next one."""
    (tmp_path / guest_mark.FILE).mkdir()
    (tmp_path / defined_guests.FILE_NAME).mkdir()
    for read in (guest_mark.read, defined_guests.read_mark):
        with pytest.raises(DriverError, match=f"Reading the files of server {tmp_path.name}"):
            read(tmp_path)
    gone = tmp_path / "gone"
    assert guest_mark.read(gone) is None and defined_guests.read_mark(gone) is None

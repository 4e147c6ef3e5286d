"""A folder and a log belong together, or nothing starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chronova import site_id
from chronova.embedded.addresses import EMBEDDED
from chronova.settings import Settings
from chronova.site_id import Identity, WrongSite, compare, read
from events.log import open_log
from events.log.contract import EARLIEST, Log


@pytest.fixture
def log() -> Log:
    return open_log("memory:", now=lambda: 1)


def site(folder: Path, **fields: object) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(data=str(folder), **fields)  # type: ignore[arg-type]


def test_a_new_site_is_in_its_folder_and_in_its_log(tmp_path: Path, log: Log) -> None:
    compare(site(tmp_path), log)
    found = read(tmp_path)
    assert found is not None and found.founded and not found.furnished
    assert site_id.file_of(tmp_path).stat().st_mode & 0o077 == 0
    for _ in range(2):
        compare(site(tmp_path), log)
        assert read(tmp_path) == found
    reader = log.reader({("site", 0): EARLIEST})
    assert len(reader.poll(0)) == 1
    reader.close()


def test_a_second_folder_is_refused(tmp_path: Path, log: Log) -> None:
    compare(site(tmp_path / "a"), log)
    with pytest.raises(WrongSite, match=r"belongs to site .* already"):
        compare(site(tmp_path / "b"), log)
    assert read(tmp_path / "b") is None


def test_another_log_is_refused(tmp_path: Path, log: Log) -> None:
    compare(site(tmp_path / "a"), log)
    other = open_log("memory:", now=lambda: 1)
    with pytest.raises(WrongSite, match="belongs to no site"):
        compare(site(tmp_path / "a"), other)
    compare(site(tmp_path / "b"), other)
    with pytest.raises(WrongSite, match="is the folder of site"):
        compare(site(tmp_path / "a"), other)


def test_of_two_that_begin_at_once_one_wins(tmp_path: Path, log: Log) -> None:
    loser = site(tmp_path / "loser")
    site_id.write(loser.data_path, Identity("begun"))  # and the other's record came first
    compare(site(tmp_path / "winner"), log)
    with pytest.raises(WrongSite):
        compare(loser, log)


def test_a_crash_between_folder_and_log_is_made_good(tmp_path: Path, log: Log) -> None:
    site_id.write(tmp_path, Identity("begun"))
    compare(site(tmp_path), log)
    found = read(tmp_path)
    assert found is not None
    assert (found.site_id, found.founded) == ("begun", True)


def test_a_copy_that_shares_something_is_refused_until_it_is_said_to_be_moved(
    tmp_path: Path, log: Log
) -> None:
    compare(site(tmp_path / "a"), log)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = site(tmp_path / "b", log="kafka://127.0.0.1:1", driver="libvirt")
    with pytest.raises(WrongSite, match="log and database and hypervisor in common"):
        compare(copy, log)
    site_id.moved(copy)
    found = read(tmp_path / "b")
    assert found is not None and found.founded
    (tmp_path / "a").rename(tmp_path / "c")
    site_id._refuse_copy(site(tmp_path / "c"), read(tmp_path / "c"))


def test_a_copy_that_shares_nothing_is_a_site_of_its_own(tmp_path: Path, log: Log) -> None:
    compare(site(tmp_path / "a"), log)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    own = site(tmp_path / "b", database=EMBEDDED)
    site_id._refuse_copy(own, read(tmp_path / "b"))


def test_a_damaged_file_is_said_so(tmp_path: Path, log: Log) -> None:
    site_id.file_of(tmp_path).write_text("{")
    with pytest.raises(WrongSite, match="damaged"):
        compare(site(tmp_path), log)

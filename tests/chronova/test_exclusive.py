"""One command and one supervisor at a time for each folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chronova import exclusive
from chronova.processes import pid_file
from chronova.settings import Settings, write


def ignore(text: str) -> None:
    """What is said while it waits."""


def test_a_second_holder_is_told(tmp_path: Path) -> None:
    first = exclusive.hold(tmp_path, "supervisor")
    assert first is not None
    assert exclusive.hold(tmp_path, "supervisor") is None
    other = exclusive.hold(tmp_path / "other", "supervisor")
    assert other is not None
    os.close(other)
    os.close(first)
    again = exclusive.hold(tmp_path, "supervisor")
    assert again is not None
    os.close(again)


def test_a_second_command_waits_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    waits, entered = threading.Event(), threading.Event()

    def second() -> None:
        def say(sentence: str) -> None:
            said.append(sentence)
            waits.set()

        with exclusive.alone(tmp_path, say):
            entered.set()

    thread = threading.Thread(target=second)
    with exclusive.alone(tmp_path, said.append):
        thread.start()
        assert waits.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()
    assert len(said) == 1 and str(tmp_path) in said[0]


def test_a_command_that_waited_too_long_gives_up(tmp_path: Path) -> None:
    with (
        exclusive.alone(tmp_path, ignore),
        pytest.raises(exclusive.Busy, match="at work"),
        exclusive.alone(tmp_path, ignore, wait_s=0.0),
    ):
        raise AssertionError("two at once")


def test_the_lock_of_a_folder_that_was_removed_is_free(tmp_path: Path) -> None:
    data = tmp_path / "site"
    with exclusive.alone(data, ignore):
        shutil.rmtree(data)
        with exclusive.alone(data, ignore, wait_s=0.0):
            pass


def test_a_second_supervisor_of_a_folder_ends_at_once(tmp_path: Path) -> None:
    write(Settings(data=str(tmp_path), database="embedded"))
    lock = exclusive.hold(tmp_path, "supervisor")
    assert lock is not None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "chronova", "--data", str(tmp_path), "supervise"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(lock)
    assert done.returncode == 0
    assert "another supervisor runs this site" in done.stderr
    assert not pid_file(tmp_path, "supervisor").exists()

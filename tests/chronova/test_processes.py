"""Pid files belong to a site: a number in one is believed only where its process says the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronova.processes import is_ours, pid_file, running, title

TITLED = (
    "import sys, setproctitle; setproctitle.setproctitle(sys.argv[1]); print(flush=True); input()"
)


@contextmanager
def process(called: str) -> Iterator[int]:
    """A process with that title."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", TITLED, called], stdin=pipe, stdout=pipe) as one:
        assert one.stdout is not None
        one.stdout.readline()
        yield one.pid
        one.kill()


def write(data: Path, name: str, pid: int) -> None:
    pid_file(data, name).parent.mkdir(parents=True, exist_ok=True)
    pid_file(data, name).write_text(f"{pid}\n")


def test_a_process_of_the_site_is_found(tmp_path: Path) -> None:
    for name in ("supervisor", "decider"):
        with process(title(tmp_path, name)) as pid:
            write(tmp_path, name, pid)
            found = running(tmp_path, name)
            assert found is not None and found.pid == pid


def test_a_process_of_another_site_is_nobody(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "mine too"
    with process(title(other, "supervisor")) as pid:
        write(mine, "supervisor", pid)
        write(other, "supervisor", pid)
        assert running(mine, "supervisor") is None
        assert running(other, "supervisor") is not None


def test_another_role_of_the_same_site_is_nobody(tmp_path: Path) -> None:
    with process(title(tmp_path, "projector")) as pid:
        write(tmp_path, "decider", pid)
        assert running(tmp_path, "decider") is None


def test_a_number_that_is_somebody_else_is_nobody(tmp_path: Path) -> None:
    write(tmp_path, "decider", os.getpid())
    assert running(tmp_path, "decider") is None


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        (["python", "-m", "chronova", "--data", "/a b", "serve", "api"], True),
        (["gunicorn:", "master", "[chronova", "serve", "api", "--data", "/a", "b]"], True),
        (["gunicorn:", "worker", "[chronova", "serve", "api", "--data", "/a", "b]"], False),
        (["python", "-m", "chronova", "--data", "/a", "serve", "api"], False),
        (["vi", "/a b/chronova.toml"], False),
        ([], False),
    ],
)
def test_command_lines(line: list[str], ours: bool) -> None:
    assert is_ours(line, Path("/a b"), "api") is ours

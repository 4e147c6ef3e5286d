"""The limit of open files is raised as far as it may be, and never lowered."""

from __future__ import annotations

import subprocess
import sys

import pytest

RUN = """
import resource, sys
from chronova.open_files import allow_open_files
before, hard, count = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
allow_open_files(count)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("before", "hard", "count", "after"),
    [(100, 300, 200, 200), (100, 300, 400, 300), (250, 300, 200, 250)],
)
def test_it_is_raised_as_far_as_it_may_be(before: int, hard: int, count: int, after: int) -> None:
    command = [sys.executable, "-c", RUN, str(before), str(hard), str(count)]
    assert subprocess.check_output(command, text=True).split() == [str(after), str(hard)]

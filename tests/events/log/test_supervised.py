"""A thread that ends unexpectedly ends its process; one that was asked to does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from events.log.supervised import EXIT_CODE, supervised

FAILS = """
import threading
from events.log.supervised import supervised

def run():
    {body}

supervised(run, "keeper", lambda: False).start()
threading.Event().wait(30)
print("it lives on")
"""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise SystemExit(0)", "SystemExit"),
        ("return", "thread keeper ended unasked"),
    ],
)
def test_the_process_ends_and_says_why(body: str, told: str) -> None:
    program = FAILS.format(body=body)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == EXIT_CODE
    assert told in done.stderr and "keeper" in done.stderr
    assert "it lives on" not in done.stdout


def test_what_may_end_ends() -> None:
    told: list[str] = []
    thread = supervised(lambda: None, "keeper", lambda: True, told.append)
    assert thread.daemon and thread.name == "keeper"
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and told == []

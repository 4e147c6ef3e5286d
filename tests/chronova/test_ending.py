"""Ending processes."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from chronova.ending import end

DEAF = "import signal, sys; signal.signal(15, signal.SIG_IGN); print(flush=True); sys.stdin.read()"


def test_a_process_that_nobody_reaps_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = time.monotonic()
        end(psutil.Process(process.pid), 20.0)
        assert time.monotonic() - began < 10
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_does_not_listen_is_killed() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", DEAF], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end(psutil.Process(process.pid), 0.1)
        assert process.wait(10) == -9

"""The end of a role: heard whenever it is told, without a lock in the signal's handler."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova.stopping import ENDING, Stop

LIMIT_S = 10.0
PIPE_BYTES = 1 << 20
"""More than a pipe holds."""

FORKS = """
import os, signal, sys
from chronova import supervisor
from chronova.settings import Settings
from chronova.stopping import Stop

stop, real = Stop(), os.fork

def fork():
    pid = real()
    if not pid:
        os.kill(os.getpid(), signal.SIGTERM)  # before it has done anything
    return pid

os.fork = fork
_, status = os.waitpid(supervisor.fork(Settings(data=sys.argv[1]), "decider"), 0)
print(os.waitstatus_to_exitcode(status), stop.is_set())
"""


@pytest.fixture
def stop() -> Iterator[Stop]:
    handlers = {number: signal.getsignal(number) for number in ENDING}
    yield Stop()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_wait_ends_by_a_signal_in_every_thread(stop: Stop, number: signal.Signals) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(stop.wait(LIMIT_S))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert (stop.is_set(), stop.wait(0.0)) == (False, False)
    signal.raise_signal(number)
    for thread in threads:
        thread.join(LIMIT_S)
    assert found == [True, True, True]
    assert (stop.is_set(), stop.wait()) == (True, True)


def test_who_asks_to_be_woken_after_the_signal_is_woken(stop: Stop) -> None:
    """A role that is told to end while it starts; the projector went on for ever."""
    signal.raise_signal(signal.SIGTERM)
    woken = threading.Event()
    stop.on_stop(woken.set)
    assert woken.wait(LIMIT_S)


def test_a_signal_waits_for_no_lock_of_the_thread_it_interrupts(stop: Stop) -> None:
    """``wake`` takes the lock of what the main thread waits for; it may hold it at that moment."""
    lock, got, woken = threading.Lock(), [False], threading.Event()

    def wake() -> None:
        got[0] = lock.acquire(timeout=LIMIT_S)
        woken.set()

    stop.on_stop(wake)
    with lock:
        signal.raise_signal(signal.SIGTERM)
    assert woken.wait(2 * LIMIT_S)
    assert got == [True]


def test_any_number_of_signals_is_taken(stop: Stop) -> None:
    for _ in range(PIPE_BYTES):
        stop.set()
    assert stop.wait(0.0)


def test_a_role_that_was_just_forked_ends_and_its_supervisor_does_not(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == [str(-signal.SIGTERM), "False"], done.stderr

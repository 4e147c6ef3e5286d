"""The supervisor's children: each is buried, however slowly it dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import ctypes, os, sys, threading, time
from pathlib import Path
import psutil
from chronova.settings import Settings
from chronova.stopping import Stop
from chronova.supervisor import Child, Supervisor

reading, writing = os.pipe()
pid = os.fork()
if not pid:
    os.close(writing)
    threading.Thread(target=lambda: (os.read(reading, 1), os._exit(0))).start()
    ctypes.CDLL(None).pthread_exit(None)  # the first thread ends, the other one goes on
os.close(reading)
process = psutil.Process(pid)

class Turns(Stop):
    count = 0
    def wait(self, timeout=None):
        Turns.count += 1
        if Turns.count == 3:  # it was found dead in the turns before
            os.close(writing)
        return super().wait(0.02)
    def is_set(self):
        return Turns.count > 200 or not psutil.pid_exists(pid)

import chronova.supervisor as module
module.Stop = Turns
module.preload = lambda: None
site = Supervisor(Settings(data=sys.argv[1]), ())
child = Child("agent", process)
child.not_before = float("inf")
while process.status() != psutil.STATUS_ZOMBIE:
    time.sleep(0.01)
site._children = [child]
tend = site._tend
def tended(child):
    tend(child)
    child.not_before = float("inf")
site._tend = tended
site.run()
sys.exit(0 if not psutil.pid_exists(pid) else 3)
"""


def test_a_child_whose_last_thread_ends_later_is_buried(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr

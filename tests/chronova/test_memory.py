"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

LOGINS = """
import sys, threading
import psutil
from api.identity.passwords import Passwords
from chronova.memory import return_large_blocks
if "return" in sys.argv:
    assert return_large_blocks()
passwords = Passwords()
made = passwords.hash("secret")
before = psutil.Process().memory_info().rss
done = threading.Barrier(9)

def login():
    for _ in range(2):
        assert passwords.verify(made, "secret")
    done.wait(60)  # as a server's threads, they live on
    done.wait(60)

threads = [threading.Thread(target=login) for _ in range(8)]
for thread in threads:
    thread.start()
done.wait(60)
print((psutil.Process().memory_info().rss - before) // 2**20)
done.wait(60)
"""


def kept_mib(*arguments: str) -> int:
    """What eight threads that have verified passwords still hold."""
    command = [sys.executable, "-c", LOGINS, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return int(done.stdout)


def test_threads_do_not_keep_what_a_password_takes() -> None:
    assert kept_mib() > 40, "otherwise nothing has to be returned, and the function can go"
    assert kept_mib("return") < 20

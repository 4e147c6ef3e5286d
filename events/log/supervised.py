"""Threads that a process cannot do without: one that ends unexpectedly ends its process.

A process that goes on without one of its threads looks alive and does half of its work. Its
supervisor starts it again within a moment, and every role bears that at any time.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: an internal error."""


def end_process(reason: str) -> None:
    """Say why on stderr, then end the process at once, whatever its other threads do."""
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(EXIT_CODE)


def supervised(
    run: Callable[[], None],
    name: str,
    to_end: Callable[[], bool],
    unexpected: Callable[[str], None] = end_process,
) -> threading.Thread:
    """Return a daemon thread, not started, that does ``run``.

    ``to_end()``: whether ``run`` may return now. ``unexpected(reason)`` is called in the thread
    when ``run`` raises, or returns before that.
    """

    def watched() -> None:
        try:
            run()
        except BaseException:  # noqa: BLE001 - whatever it is, it is told and the process ends
            unexpected(f"thread {name} failed, so its process ends:\n{traceback.format_exc()}")
            return
        if not to_end():
            unexpected(f"thread {name} ended unasked, so its process ends")

    return threading.Thread(target=watched, name=name, daemon=True)

"""Which threads answer which requests, and how many of them one caller may have.

Each kind of request has threads of its own: while all that wait for decisions, logins, searches
or slow downloads hold theirs, reads and ``/healthz`` are answered. Hosts fetch images in a lane
apart from clients' downloads. Within a lane a caller (``callers``: a user, or an address where no
token is needed or given) gets a share of the threads and of the places to wait.
A request that has waited ``WAITS_S`` is answered 503: its client would have gone by its turn.

The worker's loop alone calls these; the pools' threads only run what they are given.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote_to_bytes

from chronova.roles.arrivals import target_of

WAITS_S = 5.0
SHARE = 0.75
LOGIN_NICE = 10
"""Logins, and all else that hashes passwords, cost 30 ms of a core each: their threads run only
when no other has work."""

HEALTH = "health"
LOGIN = "login"
READ = "read"
SEARCH = "search"
WRITE = "write"
UPLOAD = "upload"
DOWNLOAD = "download"
DIRECT = "direct"
"""Hosts' fetches of images, by signed links."""

_SEARCH = re.compile(rb"(?:\A|&)[a-z_0-9]*(?:name|description|zone|ip6?|v4|v6)=", re.IGNORECASE)
"""Filters of servers that are regular expressions."""
_HASHES = re.compile(
    rb"POST /+identity/v3/(?:auth/tokens|users)/*\Z"
    rb"|POST /+identity/v3/users/[^/]+/(?:password|application_credentials)/*\Z"
    rb"|PATCH /+identity/v3/users/[^/]+/*\Z"
)
"""What hashes passwords or verifies them, by method and path."""
_FILE = re.compile(rb"/+image/v2/images/[^/]+/(?:file|stage)/*\Z")
_DIRECT = re.compile(rb"/+image/v2/direct/[^/]+/*\Z")


def lane_of(head: bytes) -> str:
    """The lane of a request, by its request line."""
    method, path, query = target_of(head)
    reads = method in (b"GET", b"HEAD")
    if path in (b"/healthz", b"/metrics"):
        return HEALTH
    if _HASHES.match(method + b" " + path):
        return LOGIN
    if _DIRECT.match(path) and reads:
        return DIRECT
    if _FILE.match(path) and (reads or method == b"PUT"):
        return DOWNLOAD if reads else UPLOAD
    if method and not reads:
        return WRITE
    searches = path.startswith(b"/compute/") and _SEARCH.search(unquote_to_bytes(query))
    return SEARCH if searches else READ


class Lane:
    """Threads for one kind of request. ``waiting_max``: beyond it a request is refused at once."""

    def __init__(self, name: str, threads: int, waiting_max: int) -> None:
        self.name = name
        self._threads = threads
        self._share = max(1, int(threads * SHARE))
        self._waiting_max = waiting_max
        self._running: Counter[str] = Counter()
        self._waiting: deque[tuple[Any, str, float]] = deque()
        self._pool = ThreadPoolExecutor(threads, name, _yielding if name == LOGIN else None)

    def add(self, work: Any, caller: str) -> bool:
        """Queue ``work``; False when too much waits already, of all or of this caller."""
        theirs = sum(1 for _, other, _ in self._waiting if other == caller)
        if len(self._waiting) >= self._waiting_max or theirs >= self._waiting_max * SHARE:
            return False
        self._waiting.append((work, caller, time.monotonic()))
        return True

    def begin(self, run: Callable[[Any], Any]) -> Iterator[tuple[Any, str, Future[Any]]]:
        """Begin what waits and may run, the oldest first."""
        passed_over = []
        while self._waiting and self._running.total() < self._threads:
            work, caller, since = self._waiting.popleft()
            if self._running[caller] >= self._share:
                passed_over.append((work, caller, since))
                continue
            self._running[caller] += 1
            yield work, caller, self._pool.submit(run, work)
        self._waiting.extendleft(reversed(passed_over))

    def finished(self, caller: str) -> None:
        """One of the caller's requests has been answered."""
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]

    def overdue(self) -> Iterator[Any]:
        """Take out what has waited too long."""
        since = time.monotonic() - WAITS_S
        while self._waiting and self._waiting[0][2] < since:
            yield self._waiting.popleft()[0]

    def shutdown(self, wait: bool = True) -> None:
        """Give the threads back."""
        self._pool.shutdown(wait=wait)


def sizes_of(threads: int) -> dict[str, int]:
    """Return the threads of each lane, by the threads of reads, and of writes."""
    few = max(2, threads // 4)
    sizes = {HEALTH: 2, LOGIN: few, READ: threads, SEARCH: few, WRITE: threads}
    return sizes | {name: max(2, threads // 2) for name in (UPLOAD, DOWNLOAD, DIRECT)}


class Lanes:
    """All lanes of a worker. ``threads``: of reads, and of writes."""

    def __init__(self, threads: int, waiting_max: int) -> None:
        sizes = sizes_of(threads).items()
        self._lanes = {name: Lane(name, size, waiting_max) for name, size in sizes}

    def __getitem__(self, name: str) -> Lane:
        return self._lanes[name]

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def shutdown(self, wait: bool = True) -> None:
        """Give all threads back."""
        for lane in self:
            lane.shutdown(wait=wait)


def _yielding() -> None:
    """Let all other threads go first: on Linux a thread has a nice value of its own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOGIN_NICE)

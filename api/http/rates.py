"""How many requests a project and an address may make; beyond it 429 with Retry-After.

Three limits, each a text such as ``600/minute``, or empty for none:

- ``requests_address``: all requests of one address, before anything is done for them.
- ``writes_project``: requests of one project that may change something.
- ``refusals_project``: commands of one project that were refused. A refusal is recorded, and
  costs its sender nothing; once they are used up, the project's writes wait.

Each process counts by itself: a limit is divided by the number of processes.
"""

from __future__ import annotations

import math
import time
from typing import Any

import falcon
import msgspec
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

READS = frozenset({"GET", "HEAD", "OPTIONS"})
UNLIMITED = frozenset({"/healthz", "/metrics"})


class RateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The limits, and by how many processes they are shared."""

    requests_address: str = ""
    writes_project: str = ""
    refusals_project: str = ""
    processes: int = 1


class Limit:
    """One limit, counted apart for each key. Thread-safe."""

    def __init__(self, rate: str, processes: int = 1) -> None:
        self._item = None
        if rate:
            whole = parse(rate)
            self._item = type(whole)(math.ceil(whole.amount / processes), whole.multiples)
        self._counts = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, key: str) -> bool:
        """Count one more; False when there are too many, which is not counted."""
        return self._item is None or self._counts.hit(self._item, key)

    def check(self, key: str) -> None:
        """Raise 429 when one more would be too many."""
        if self._item is not None and not self._counts.test(self._item, key):
            raise self.refusal(key)

    def refusal(self, key: str) -> falcon.HTTPTooManyRequests:
        """429, and when to ask again."""
        assert self._item is not None, "without a limit nothing is refused"
        wait_s = self._counts.get_window_stats(self._item, key).reset_time - time.time()
        return falcon.HTTPTooManyRequests(
            description="This request was rate-limited.",
            headers={"Retry-After": str(max(1, math.ceil(wait_s)))},
        )


class Rates:
    """Middleware, after the one that knows the caller."""

    def __init__(self, settings: RateSettings) -> None:
        shared = settings.processes
        self._requests = Limit(settings.requests_address, shared)
        self._writes = Limit(settings.writes_project, shared)
        self._refusals = Limit(settings.refusals_project, shared)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Count the address. Raises 429."""
        address = req.remote_addr or ""
        if req.path not in UNLIMITED and not self._requests.count(address):
            raise self._requests.refusal(address)

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, params: dict[str, Any]
    ) -> None:
        """Count the project's writes. Raises 429."""
        project = _project(req)
        if req.method in READS or not project:
            return
        self._refusals.check(project)
        if not self._writes.count(project):
            raise self._writes.refusal(project)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        """Count what was refused."""
        project = _project(req)
        if project and getattr(req.context, "refused", False):
            self._refusals.count(project)


def _project(req: falcon.Request) -> str:
    """Whose requests they are; a user's own where the token has no project."""
    caller = getattr(req.context, "caller", None)
    return (caller.project_id or caller.user_id) if caller is not None else ""

"""How many requests a project, an address and a host may make; beyond it 429 with Retry-After.

Four limits, each a text such as ``600/minute``, or empty for none:

- ``requests_address``: all requests of one address (IPv6: of one /64), before anything is done
  for them.
- ``writes_project``: requests of one project that may change something.
- ``refusals_project``: commands of one project that were refused. A refusal is recorded, and
  costs its sender nothing; once they are used up, the project's writes wait.
- ``secrets_host``: requests that a host has signed, to read its guests' secrets. Each is decided,
  and what is refused is recorded (``api.compute.host_secrets`` counts them). Those for its report
  key are counted apart, up to the same limit (``api.compute.host_report_keys``).

Each process counts by itself: a limit is divided by the number of processes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import falcon
import msgspec
from limits import parse

from api.http.address import client_of

READS = frozenset({"GET", "HEAD", "OPTIONS"})
UNLIMITED = frozenset({"/healthz", "/metrics"})

KEYS_MAX = 10_000
"""Keys that are counted before those with their whole allowance are looked for and forgotten."""

ROUNDING = 1e-9
"""By what sums of floats may be wrong."""


class RateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The limits, and by how many processes they are shared."""

    requests_address: str = ""
    writes_project: str = ""
    refusals_project: str = ""
    secrets_host: str = ""
    processes: int = 1


class Limit:
    """One limit, counted apart for each key. Thread-safe.

    A key's allowance refills evenly over the period, and is never more than its amount (the generic
    cell rate algorithm). A key that has its whole allowance is forgotten.

    ``limits`` reads the text. Its own counts begin a thread for almost each request, to forget old
    ones (1.4 of them a request, measured), so they are not used.
    """

    def __init__(
        self, rate: str, processes: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._amount, self._each_s = 0, 0.0
        if rate:
            whole = parse(rate)
            self._amount = math.ceil(whole.amount / processes)
            self._each_s = whole.get_expiry() / self._amount
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When each key will have its whole allowance again."""
        self._keys_max = KEYS_MAX
        self._lock = threading.Lock()

    def count(self, key: str) -> bool:
        """Count one more; False when there are too many, which is not counted."""
        if not self._amount:
            return True
        with self._lock:
            now = self._clock()
            if self._wait_s(key, now) > 0:
                return False
            self._full_at[key] = max(now, self._full_at.get(key, now)) + self._each_s
            if len(self._full_at) > self._keys_max:
                self._full_at = {k: at for k, at in self._full_at.items() if at > now}
                self._keys_max = max(KEYS_MAX, 2 * len(self._full_at))
            return True

    def take(self, key: str) -> None:
        """Count one more. Raises 429 when there are too many."""
        if not self.count(key):
            raise self.refusal(key)

    def check(self, key: str) -> None:
        """Raise 429 when one more would be too many."""
        if self._amount and self._wait_s(key, self._clock()) > 0:
            raise self.refusal(key)

    def refusal(self, key: str) -> falcon.HTTPTooManyRequests:
        """429, and when to ask again."""
        wait_s = self._wait_s(key, self._clock())
        return falcon.HTTPTooManyRequests(
            description="This request was rate-limited.",
            headers={"Retry-After": str(max(1, math.ceil(wait_s)))},
        )

    def _wait_s(self, key: str, now: float) -> float:
        """How long until one more is allowed; 0 or less: now."""
        used_s = self._full_at.get(key, now) + self._each_s - now
        return used_s - self._amount * self._each_s * (1 + ROUNDING)


class Rates:
    """Middleware, after the one that knows the caller."""

    def __init__(self, settings: RateSettings) -> None:
        shared = settings.processes
        self._requests = Limit(settings.requests_address, shared)
        self._writes = Limit(settings.writes_project, shared)
        self._refusals = Limit(settings.refusals_project, shared)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Count the address. Raises 429."""
        address = client_of(req.remote_addr or "")
        if req.path not in UNLIMITED:
            self._requests.take(address)

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, params: dict[str, Any]
    ) -> None:
        """Count the project's writes. Raises 429."""
        project = project_of(req)
        if req.method in READS or not project:
            return
        self._refusals.check(project)
        self._writes.take(project)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        """Count what was refused."""
        project = project_of(req)
        if project and getattr(req.context, "refused", False):
            self._refusals.count(project)


def project_of(req: falcon.Request) -> str:
    """Return whose requests they are; a user's own where the token has no project."""
    caller = getattr(req.context, "caller", None)
    return (caller.project_id or caller.user_id) if caller is not None else ""

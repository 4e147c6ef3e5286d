"""Each request is counted, and told of in the log when it went wrong or was slow.

Figures are by service, method, route template and status class, so their number is bounded
whatever clients ask for. The log line names the path without its query, which may hold a link's
signature, and no header or body.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, Protocol

import falcon
import structlog

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""For what is not one of a known few."""

logger = structlog.get_logger("api")


class Observer(Protocol):
    """Counts requests. From any thread."""

    def request(self, service: str, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered, ``seconds`` after it had come in."""


class Unobserved:
    """Counts nothing."""

    def request(self, service: str, method: str, route: str, status: int, seconds: float) -> None:
        """Nothing."""


class Observed:
    """Middleware, right after the one that names requests. ``slow_s``: from when on a request is
    told of."""

    def __init__(
        self, services: Collection[str], observer: Observer | None = None, slow_s: float = 1.0
    ) -> None:
        self._services = frozenset(services)
        self._observer = observer or Unobserved()
        self._slow_s = slow_s

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The clock starts; whatever is logged meanwhile says the request's id."""
        req.context.began = time.perf_counter()
        structlog.contextvars.bind_contextvars(request_id=req.context.request_id)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        """Count, and tell of what went wrong or was slow."""
        began = getattr(req.context, "began", None)
        if began is None:
            return
        seconds = time.perf_counter() - began
        status = resp.status_code
        method = req.method if req.method in METHODS else OTHER
        route = req.uri_template or OTHER
        mount = route.split("/", 2)[1] if route != OTHER else OTHER
        service = mount if mount in self._services else OTHER
        self._observer.request(service, method, route, status, seconds)
        if status >= 500 or seconds >= self._slow_s:
            self._tell(req, route, status, seconds)
        structlog.contextvars.unbind_contextvars("request_id")

    def _tell(self, req: falcon.Request, route: str, status: int, seconds: float) -> None:
        context: Any = req.context
        caller = getattr(context, "caller", None)
        say = logger.error if status == 500 else logger.warning
        say(
            "request",
            method=req.method[:16],
            path=req.path[:500],
            route=route,
            status=status,
            seconds=round(seconds, 3),
            global_request_id=getattr(context, "global_request_id", ""),
            user_id=getattr(caller, "user_id", ""),
            project_id=getattr(caller, "project_id", None) or "",
        )

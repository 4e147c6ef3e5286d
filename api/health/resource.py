"""``GET /healthz``: 200 when every part works, else 503; the body says which is ill, and why.

A part that works, but not for all, is *degraded*: that is shown, and the answer is 200, for another
API could do no better.
"""

from __future__ import annotations

import falcon
import msgspec

from api.health.checks import Checks


class Health:
    """The resource. No token: what asks is a load balancer."""

    public_methods = ("GET", "HEAD")

    def __init__(self, checks: Checks, version: str = "") -> None:
        self._checks = checks
        self._version = version

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"status": "ok" | "degraded" | "ill", "ill": [names], "degraded": [names], "parts":
        {name: condition}}``."""
        conditions = self._checks.conditions()
        ill = [name for name, condition in conditions.items() if not condition.ok]
        degraded = [name for name, condition in conditions.items() if condition.degraded]
        body = {
            "status": "ill" if ill else "degraded" if degraded else "ok",
            "version": self._version,
            "ill": ill,
            "degraded": degraded,
            "parts": conditions,
        }
        resp.status = 503 if ill else 200
        resp.content_type = "application/json"
        resp.set_header("Cache-Control", "no-store")
        if ill:
            resp.set_header("Retry-After", "1")
        resp.data = msgspec.json.encode(body)

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The status alone."""
        self.on_get(req, resp)

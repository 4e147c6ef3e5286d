"""``/metrics``: what is counted, in Prometheus' text format. No token: it names no tenant.

A site whose API is reachable from outside keeps this path to itself at its proxy.
"""

from __future__ import annotations

from typing import Protocol

import falcon


class Exposition(Protocol):
    """Where the figures come from."""

    content_type: str

    def render(self) -> bytes:
        """The text, as it is now."""


class Figures:
    """``GET /metrics``."""

    public_methods = ("GET",)

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The figures of every role of this machine."""
        resp.data = self._exposition.render()
        resp.content_type = self._exposition.content_type

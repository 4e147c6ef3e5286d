"""Keystone's Identity API v3, as far as a compute cloud's clients use it.

Left out, each with Keystone's own answer for what is not there: federation, trusts, OAuth,
limits, inherited grants, EC2 and blob credentials; regions, services and endpoints are read-only,
as the catalog follows from the settings.
"""

from __future__ import annotations

from api.identity.answers import middleware, render_error
from api.identity.routes import routes

__all__ = ["middleware", "render_error", "routes"]

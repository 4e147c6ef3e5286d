"""Placement's microversions: 1.N is the integer N everywhere inside.

The middleware negotiates it, puts it on each answer, and completes the bodies of errors, which
depend on it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import falcon
import orjson

from api.http.request_ids import request_id

OLDEST, LATEST = 0, 39
VERSION_DATED, VERSION_CODES = 15, 23
VERSION = re.compile(r"1\.(0|[1-9]\d{0,3})")
MOUNT = "/placement"


class Microversions:
    """Middleware for ``/placement`` alone."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set ``req.context.microversion``. Raises 400, 404 or 406."""
        if not _ours(req):
            return
        req.context.microversion = OLDEST
        resp.set_header("Vary", "openstack-api-version")
        minor = _negotiated(req.get_header("openstack-api-version") or "")
        req.context.microversion = minor
        resp.set_header("OpenStack-API-Version", f"placement 1.{minor}")
        if "\x00" in req.path:
            raise falcon.HTTPNotFound

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, req_succeeded: bool
    ) -> None:
        """Complete an error's body; say how fresh an answer is."""
        if not _ours(req):
            return
        version = getattr(req.context, "microversion", OLDEST)
        if resp.status_code >= 400:
            _complete(req, resp, version)
        elif resp.data and version >= VERSION_DATED:
            resp.last_modified = datetime.now(UTC)
            resp.cache_control = ["no-cache"]


def _ours(req: falcon.Request) -> bool:
    return req.path == MOUNT or req.path.startswith(f"{MOUNT}/")


def _negotiated(header: str) -> int:
    wanted = ""
    for part in header.split(","):
        service, _, version = part.strip().partition(" ")
        if service.lower() == "placement":
            wanted = version.strip()
    if not wanted:
        return OLDEST
    if wanted == "latest":
        return LATEST
    if not re.fullmatch(r"\d+\.\d+", wanted):
        raise falcon.HTTPBadRequest(description=f"invalid version string: {wanted}")
    match = VERSION.fullmatch(wanted)
    if match is None or int(match[1]) > LATEST:
        raise falcon.HTTPNotAcceptable(description=f"Unacceptable version header: {wanted}")
    return int(match[1])


def _complete(req: falcon.Request, resp: falcon.Response, version: int) -> None:
    body = orjson.loads(resp.data) if resp.data else {}
    for error in body.get("errors", ()):
        error["request_id"] = request_id(req)
        if version < VERSION_CODES:
            del error["code"]
        if error["status"] == 406:
            error |= {"max_version": f"1.{LATEST}", "min_version": f"1.{OLDEST}"}
    if body:
        resp.data = orjson.dumps(body)

"""Microversions, and the several spellings of one path.

A microversion 2.N is the integer N everywhere inside; 0 stands for the legacy v2.0 API, which is
2.1 with unknown properties ignored. The middleware negotiates it, puts it on the answer (errors
too) and rewrites the path to the one form that the routes have: ``/compute/v2.1/servers``, also
for ``/compute/v2/…`` and ``/compute/v2.1/{project_id}/…``.
"""

from __future__ import annotations

import re

import falcon
import orjson

from api.compute import versions
from api.compute.faults import not_found

LEGACY = 0
OLDEST = 1
LATEST = 104

PROJECT = re.compile(r"[0-9a-f-]+")
VERSION = re.compile(r"([1-9][0-9]*)\.([1-9][0-9]*|0)")
DIGITS_MAX = 9
VARY = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"


class Microversions:
    """Middleware for ``/compute`` alone."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set ``req.context.microversion`` and ``url_project``. Raises 400 or 406."""
        segments = req.path.split("/")
        if segments[:2] != ["", "compute"]:
            return
        resp.set_header("x-compute-request-id", req.context.request_id)
        root = segments[2] if len(segments) > 2 else ""
        req.context.url_project = None
        if root not in ("v2.1", "v2"):
            if root:
                _answer_choices(resp, self._public_url)
            return
        if len(segments) == 3 or not segments[3]:
            return
        req.context.microversion = LEGACY if root == "v2" else negotiate(req, resp)
        if PROJECT.fullmatch(segments[3]):
            req.context.url_project = segments.pop(3)
        if "\x00" in req.path:
            raise not_found()
        segments[2] = "v2.1"
        req.path = "/".join(segments)


def _answer_choices(resp: falcon.Response, public_url: str) -> None:
    resp.status = 300
    resp.content_type = "application/json"
    resp.data = orjson.dumps({"choices": versions.choices(public_url)})
    resp.complete = True


def negotiate(req: falcon.Request, resp: falcon.Response) -> int:
    """The microversion to answer in; the response's headers are set."""
    resp.set_header("Vary", VARY)
    wanted = requested(req)
    minor = OLDEST if wanted is None else parse(wanted)
    resp.set_header("OpenStack-API-Version", f"compute 2.{minor}")
    resp.set_header("X-OpenStack-Nova-API-Version", f"2.{minor}")
    return minor


def requested(req: falcon.Request) -> str | None:
    """What the headers ask for; the last value for compute wins, the new header over the old."""
    wanted = None
    header = req.get_header("openstack-api-version")
    if header:
        for part in header.split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == "compute":
                wanted = version.strip()
    if wanted is None:
        header = req.get_header("x-openstack-nova-api-version")
        wanted = header.strip() if header else None
    return wanted


def parse(version: str) -> int:
    """``2.N`` or ``latest`` to N. Raises 400 when malformed, 406 when not served."""
    if version == "latest":
        return LATEST
    match = VERSION.fullmatch(version)
    if match is None:
        raise falcon.HTTPBadRequest(
            description=f"API Version String {version} is of invalid format. Must be of format "
            "MajorNum.MinorNum."
        )
    # Longer ones are not served either, and int() refuses more than 4,300 digits.
    major, minor = (int(digits[:DIGITS_MAX]) for digits in match.groups())
    if major != 2 or not OLDEST <= minor <= LATEST:
        raise falcon.HTTPNotAcceptable(
            description=f"Version {version} is not supported by the API. Minimum is 2.{OLDEST} and "
            f"maximum is 2.{LATEST}."
        )
    return minor

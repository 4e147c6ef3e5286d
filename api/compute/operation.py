"""One operation of the compute API: a row that says where, when and how it is checked.

A resource file offers ``OPERATIONS``; ``api/compute/routes.py`` lists the files. What a row says
is done here for all alike: the microversion's window (404 outside), the URL's project, the query
and body schemas. ``run(call)`` does the rest and returns an ``Answer``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import falcon
import msgspec
import orjson

from api.bus import Actor
from api.caller import Caller
from api.compute.faults import bad_request, not_found
from api.compute.microversion import LATEST, OLDEST
from api.compute.validation import Body, Query
from api.http.body import read_object
from api.http.errors import accepted
from api.services import Services
from events.message import Command

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


class Answer(msgspec.Struct, frozen=True):
    """What to answer. ``body`` is JSON already when it is bytes; None is no body."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = {}


class Call:
    """One request to an operation, checked.

    ``version`` is the microversion's minor number, 1 for legacy v2.0. ``query`` holds each known
    parameter's values, ``params`` the path's.
    """

    __slots__ = ("body", "caller", "params", "query", "req", "request_id", "services", "version")

    def __init__(self, services: Services, req: falcon.Request, params: dict[str, str]) -> None:
        self.services = services
        self.req = req
        self.caller: Caller = req.context.caller
        self.request_id: str = req.context.request_id
        self.version: int = max(req.context.microversion, OLDEST)
        self.params = params
        self.query: dict[str, list[str]] = {}
        self.body: dict[str, Any] = {}

    def first(self, parameter: str) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(parameter)
        return values[0] if values else None

    def last(self, parameter: str) -> str | None:
        """The last value of a query parameter."""
        values = self.query.get(parameter)
        return values[-1] if values else None

    def send(self, command: Command, key: str) -> None:
        """Ask for ``command`` as this caller. Raises ``Refused`` or ``Unavailable``."""
        actor = Actor(self.caller.user_id, self.project_id, self.request_id)
        self.services.bus.send(command, key, actor)
        accepted(self.req)

    @property
    def project_id(self) -> str:
        """The caller's project; empty for an unscoped token."""
        return self.caller.project_id or ""

    def link(self, path: str) -> str:
        """The address of ``/servers/…``, with the project if this request's URL had it; what a path
        cannot hold is percent-encoded."""
        root = f"{self.services.settings.public_url}/compute/v2.1"
        return root + quote(f"{self._project_segment}{path}")

    def bookmark(self, path: str) -> str:
        """As ``link``, without the version."""
        root = f"{self.services.settings.public_url}/compute"
        return root + quote(f"{self._project_segment}{path}")

    @property
    def _project_segment(self) -> str:
        project = self.req.context.url_project
        return f"/{project}" if project else ""


Run = Callable[[Call], Answer]


class Operation(msgspec.Struct, frozen=True):
    """A row. ``path`` is relative to ``/compute/v2.1``."""

    method: str
    path: str
    run: Run
    since: int = OLDEST
    until: int = LATEST
    query: Query | None = None
    body: Body | None = None


ANY_QUERY = Query(strict_since=102)
"""No parameter is known; from 2.102 on any is refused."""


class Resource:
    """The operations of one path, as Falcon wants them."""

    def __init__(self, services: Services, operations: Sequence[Operation]) -> None:
        self._services = services
        for method in METHODS:
            rows = tuple(row for row in operations if row.method == method)
            setattr(self, f"on_{method.lower()}", self._responder(rows))

    def _responder(self, rows: tuple[Operation, ...]) -> Callable[..., None]:
        def respond(req: falcon.Request, resp: falcon.Response, **params: str) -> None:
            version: int = req.context.microversion
            for row in rows:
                if row.since <= (version or OLDEST) <= row.until:
                    break
            else:
                raise not_found()
            answer = row.run(self._checked(row, req, params, version))
            _write(resp, answer)

        return respond

    def _checked(
        self, row: Operation, req: falcon.Request, params: dict[str, str], version: int
    ) -> Call:
        call = Call(self._services, req, params)
        url_project = req.context.url_project
        if url_project is not None and url_project != call.caller.project_id:
            raise bad_request(
                f"Malformed request URL: URL's project_id '{url_project}' doesn't match Context's "
                f"project_id '{call.caller.project_id}'"
            )
        if row.query is not None:
            call.query = row.query.read(req.params, version)
        elif row.method == "GET" and req.query_string:
            ANY_QUERY.read(req.params, version)
        if row.body is not None:
            call.body = read_object(req, self._services.settings.body_bytes_max)
            row.body.check(call.body, version)
        return call


def _write(resp: falcon.Response, answer: Answer) -> None:
    resp.status = answer.status
    for name, value in answer.headers.items():
        resp.set_header(name, value)
    if answer.body is not None:
        resp.content_type = "application/json"
        resp.data = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)


def resources(
    services: Services, operations: Iterable[Operation]
) -> Iterable[tuple[str, Resource]]:
    """One resource for each path."""
    by_path: dict[str, list[Operation]] = {}
    for row in operations:
        by_path.setdefault(row.path, []).append(row)
    for path, rows in by_path.items():
        yield f"/v2.1{path}", Resource(services, rows)

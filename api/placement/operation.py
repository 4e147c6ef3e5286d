"""One operation of the placement API: a row, as in the compute API.

Here every reader is an operator or another service; what a row says is checked here for all
alike: the microversion's window (404 outside), the role, the query's parameters. Nothing is
written through this API: the fleet's own decisions are the only writer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import falcon
import msgspec
from sqlalchemy import Connection

from api.caller import Caller
from api.http.body import write_json
from api.placement.errors import (
    BAD_VALUE,
    DUPLICATE_KEY,
    bad_request,
    forbidden,
    not_found,
    read_only,
)
from api.placement.microversion import LATEST, MOUNT, OLDEST
from api.services import Services
from projections.fleet.providers import ProviderRow, find_provider, list_providers

METHODS = ("GET", "POST", "PUT", "DELETE")


class Parameter(msgspec.Struct, frozen=True):
    """A query parameter that exists from microversion ``since`` on, and may be given several
    times from ``repeated_since`` on."""

    name: str
    since: int = OLDEST
    repeated_since: int = LATEST + 1


class Call:
    """One request, checked. ``query`` holds each parameter's values."""

    __slots__ = ("_providers", "caller", "params", "query", "services", "version")

    def __init__(self, services: Services, req: falcon.Request, params: dict[str, str]) -> None:
        self.services = services
        self.caller: Caller = req.context.caller
        self.version: int = req.context.microversion
        self.params = params
        self.query: dict[str, list[str]] = {}
        self._providers: list[ProviderRow] | None = None

    def one(self, parameter: str) -> str | None:
        """The value of a parameter that is given once."""
        values = self.query.get(parameter)
        return values[0] if values else None

    def all(self, parameter: str) -> Sequence[str]:
        """All values of a parameter."""
        return self.query.get(parameter, ())

    def connect(self) -> Connection:
        """A connection to the projections; use it in a ``with``."""
        return self.services.engine.connect()

    def providers(self) -> list[ProviderRow]:
        """All resource providers, read once for a request."""
        if self._providers is None:
            with self.connect() as connection:
                self._providers = list_providers(connection)
        return self._providers

    def provider(self) -> ProviderRow:
        """The resource provider that the path names. Raises 404."""
        given = self.params["provider"]
        with self.connect() as connection:
            provider = find_provider(connection, given)
        if provider is None:
            raise not_found(f"No resource provider with uuid {given} found")
        return provider


Run = Callable[[Call], object]
"""What to answer: a JSON body; None is 204."""


def privileged(call: Call) -> bool:
    """Whether the caller is an admin or another service, in a project."""
    caller = call.caller
    in_project = not caller.system and caller.domain_id is None
    return in_project and (caller.is_admin or caller.is_service)


class Operation(msgspec.Struct, frozen=True):
    """A row. ``path`` is relative to the mount; ``allowed`` says who may."""

    method: str
    path: str
    run: Run
    since: int = OLDEST
    parameters: Sequence[Parameter] = ()
    allowed: Callable[[Call], bool] = privileged


def refused(
    method: str, path: str, detail: str, since: int = OLDEST, readable: bool = True
) -> Operation:
    """A row for a write: 405 with ``detail``, which says who does write it."""

    def run(call: Call) -> object:
        raise read_only(detail, ("GET",) if readable else ())

    return Operation(method, path, run, since)


class Resource:
    """The operations of one path, as Falcon wants them. Methods without a row are 405."""

    def __init__(self, services: Services, operations: Sequence[Operation]) -> None:
        self._services = services
        for method in METHODS:
            rows = tuple(row for row in operations if row.method == method)
            if rows:
                setattr(self, f"on_{method.lower()}", self._responder(rows))

    def _responder(self, rows: tuple[Operation, ...]) -> Callable[..., None]:
        def respond(req: falcon.Request, resp: falcon.Response, **params: str) -> None:
            call = Call(self._services, req, params)
            row = next((row for row in rows if row.since <= call.version), None)
            if row is None:
                raise not_found()
            if row.method == "GET":
                call.query = _query(row.parameters, req.params, call.version)
            if not row.allowed(call):
                raise forbidden(f"placement:{row.path.strip('/').replace('/', ':')}")
            body = row.run(call)
            if body is None:
                resp.status = 204
            else:
                write_json(resp, body)

        return respond


def _query(
    parameters: Sequence[Parameter], given: Mapping[str, Any], version: int
) -> dict[str, list[str]]:
    known = {p.name: p for p in parameters if p.since <= version}
    query = {}
    for name, value in given.items():
        parameter = known.get(name)
        if parameter is None:
            raise bad_request(
                f"Invalid query string parameters: Additional properties are not allowed ('{name}' "
                "was unexpected)"
            )
        values = value if isinstance(value, list) else [value]
        if len(values) > 1 and version < parameter.repeated_since:
            raise bad_request(f"Duplicate query parameter '{name}'", DUPLICATE_KEY)
        if any("\x00" in each for each in values):
            raise bad_request(f"Invalid value of query parameter '{name}'", BAD_VALUE)
        query[name] = values
    return query


def checked_uuid(text: str, name: str) -> str:
    """The canonical form of a UUID. Raises 400."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise bad_request(
            f"Invalid query string parameters: '{text}' is not a 'uuid' ({name})"
        ) from None


def href(path: str) -> str:
    """A link's address: a path, as placement writes them."""
    return f"{MOUNT}{path}"


def resources(
    services: Services, operations: Iterable[Operation]
) -> Iterable[tuple[str, Resource]]:
    """One resource for each path."""
    by_path: dict[str, list[Operation]] = {}
    for row in operations:
        by_path.setdefault(row.path, []).append(row)
    for path, rows in by_path.items():
        yield path, Resource(services, rows)

"""What the running application serves, asked of the application: nothing is listed by hand here.

A route that is added to any service appears in ``routes`` by itself, and with it every question of
this folder. ``shape`` is a path with its parameters made nameless, which is how the tables of
facts speak of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import falcon
import msgspec
from falcon.inspect import inspect_routes

from api.compute import actions, aggregates, flavors
from api.compute.gone import gone
from api.compute.operation import Operation
from api.compute.routes import operations as compute_operations
from api.placement import FILES as PLACEMENT_FILES
from api.placement.operation import Operation as PlacementOperation

COMPUTE = "/compute/v2.1"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


class Route(msgspec.Struct, frozen=True, order=True):
    """One verb of one path, and for ``…/action`` one key of the body."""

    path: str
    method: str
    action: str = ""

    @property
    def service(self) -> str:
        return self.path.split("/")[1]

    @property
    def shape(self) -> str:
        return PARAMETER.sub("{}", self.path)

    @property
    def parameters(self) -> list[str]:
        return PARAMETER.findall(self.path)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}{' ' if self.action else ''}{self.action}"


class Window(msgspec.Struct, frozen=True):
    """The microversions 2.since to 2.until."""

    since: int
    until: int


def paths(app: falcon.App[Any, Any]) -> Iterator[tuple[str, list[str]]]:
    """Every path of the application with the verbs that it has a responder for."""
    for route in inspect_routes(app):
        yield route.path, sorted(m.method for m in route.methods if not m.internal)


def routes(app: falcon.App[Any, Any]) -> list[Route]:
    """Everything that can be asked for. A compute path has a responder for every verb; what it
    answers with something else than 404 are the rows of its tables."""
    found = []
    tabled = {f"{COMPUTE}{row.path}" for row in compute_operations()}
    for path, methods in paths(app):
        if path not in tabled:
            found += [Route(path, method) for method in methods]
    return sorted({*found, *windows()})


def windows() -> dict[Route, Window]:
    """Compute's routes with their microversions, from the rows themselves."""
    found: dict[Route, Window] = {}
    for row in compute_operations():
        for route, window in _of_row(row):
            known = found.get(route, window)
            found[route] = Window(min(known.since, window.since), max(known.until, window.until))
    return found


def _of_row(row: Operation) -> Iterator[tuple[Route, Window]]:
    path, window = f"{COMPUTE}{row.path}", Window(row.since, row.until)
    if row.run is actions.act:
        for action in actions.ACTIONS:
            yield Route(path, row.method, action.key), Window(action.since, action.until)
    elif row.run is flavors.act:
        for key in ("addTenantAccess", "removeTenantAccess"):
            yield Route(path, row.method, key), window
    elif row.run is aggregates.act:
        for key in ("add_host", "remove_host", "set_metadata"):
            yield Route(path, row.method, key), window
    else:
        yield Route(path, row.method), window


def removed() -> set[Route]:
    """Compute's routes that are gone for good."""
    return {
        Route(f"{COMPUTE}{row.path}", row.method) for row in compute_operations() if row.run is gone
    }


def placement_rows() -> list[PlacementOperation]:
    """The rows of the placement service."""
    return [row for file in PLACEMENT_FILES for row in file.OPERATIONS]

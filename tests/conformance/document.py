"""docs/api.md and README's coverage table: what is served, from the rows of the API itself.

``make docs`` writes both (``python -m tests.conformance.document``); a test says when they are
old. The routes are asked of the application (``inventory``); the rule of each is what
``policy_table`` and ``policy_others`` say, and test_roles.py asks every route as every caller.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import sqlalchemy

from api.app import SERVICES, create_app
from api.compute import addresses, attachments, migrations, server_groups
from api.services import ApiSettings, Services
from tests.conformance import inventory
from tests.conformance.inventory import COMPUTE, Route, Window
from tests.conformance.policy_others import IDENTITY_ROUTES, IMAGE_ROUTES
from tests.conformance.policy_table import COMPUTE_ROUTES, HOLDERS, NO_RULE
from tests.conformance.site import Away, Gate

ROOT = Path(__file__).resolve().parents[2]
API, README = ROOT / "docs" / "api.md", ROOT / "README.md"

SERVED, EMPTY, GONE, MISSING = "served", "always empty", "410, as in Nova", "not yet"

EMPTY_FILES = (addresses, attachments, migrations, server_groups)
"""Resources that exist in the API, but of which there can be none yet."""

LETTERS = {
    "A": "admin in any scope",
    "S": "service",
    "SR": "reader on the system",
    "DR": "reader of the target's domain",
    "DM": "manager of the target's domain",
    "XM": "manager of any domain",
    "DT": "a token for that domain",
    "PT": "a token for that project",
    "own": "the user itself",
    "any": "every token",
    "scoped": "every token with a scope",
    "public": "no token needed",
    "visible": "everybody who sees the image",
    "member": "member of the owning project",
    "admin": "admin",
    "answer": "member of the project in the path",
}
"""The letters of ``policy_others`` in words."""

HEAD = """# The APIs

Every route of every service, with its microversions and who may use it. `make docs` writes this
file from the rows of the running application; `tests/conformance` compares the rows with Nova's,
Keystone's and Glance's references and asks every route as every kind of caller.

| state | meaning |
|---|---|
| served | answers as in OpenStack |
| always empty | none can be there yet: lists are empty, an id is 404, a new one is refused |
| 410, as in Nova | Nova removed it for good; the answer is 410 there as well |
| not yet | Nova has it, Chronova does not: 404; for an action of a server 400 |

"""

COMPUTE_HEAD = """## Compute

Rules are Nova's, without `os_compute_api:`. *Held by* is who has the rule by default: manager,
member and reader in the project that owns the target; owner for what is the user's own; admin
everywhere. A route without a rule is for every token; the three version documents need none.
`/host-secrets` is Chronova's own, for its hosts.

"""


class Row(msgspec.Struct, frozen=True):
    """One route as the tables show it; ``holder`` is who has the rule by default."""

    route: Route
    state: str
    window: Window | None = None
    rule: str = ""
    holder: str = ""


def all_routes() -> list[Route]:
    """Return every route of every service, without a database or a log."""
    engine = sqlalchemy.create_engine("postgresql+psycopg2://")
    with tempfile.TemporaryDirectory() as folder:
        services = Services(Away(), engine, ApiSettings(data_path=Path(folder)))
        found = inventory.routes(create_app(services, SERVICES, Gate()))
    engine.dispose()
    return found


def compute_rows(routes: Iterable[Route]) -> list[Row]:
    """Return Nova's routes: those served, those removed, those that are not there yet."""
    windows, gone, empty = inventory.windows(), inventory.removed(), set(_empty())
    served = [route for route in routes if route.service == "compute"]
    rows = [
        Row(route, _state(route, gone, empty), windows.get(route), *_rule(route))
        for route in served
    ]
    known = {_nameless(route) for route in served}
    rows += [
        Row(route, MISSING, window, *_rule(route))
        for route, (window, _) in COMPUTE_ROUTES.items()
        if route not in known
    ]
    return sorted(rows, key=lambda row: row.route)


def _empty() -> Iterator[Route]:
    for file in EMPTY_FILES:
        for row in file.OPERATIONS:
            yield Route(f"{COMPUTE}{row.path}", row.method)


def _state(route: Route, gone: set[Route], empty: set[Route]) -> str:
    if route in gone:
        return GONE
    return EMPTY if route in empty else SERVED


def _nameless(route: Route) -> Route:
    return Route(route.shape, route.method, route.action)


def _rule(route: Route) -> tuple[str, str]:
    """The rule's name without Nova's prefix, and who holds it by default."""
    rule = COMPUTE_ROUTES.get(_nameless(route), (None, NO_RULE))[1]
    if rule == NO_RULE:
        return "", ""
    return rule.removeprefix("os_compute_api:"), HOLDERS[rule]


def page() -> str:
    """Return docs/api.md."""
    routes = all_routes()
    parts = [HEAD, *_compute(compute_rows(routes))]
    for service, table in (("identity", IDENTITY_ROUTES), ("image", IMAGE_ROUTES)):
        parts += ["\n", *_lettered(service, table, routes)]
    parts += ["\n", *_placement(), "\n", *_registry(routes)]
    return "".join(parts)


def _compute(rows: list[Row]) -> Iterator[str]:
    yield COMPUTE_HEAD
    yield "| method | path | action | microversions | state | rule | held by |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for row in rows:
        path = row.route.path.removeprefix("/compute") or "/"
        cells = (
            row.route.method,
            f"`{path}`",
            f"`{row.route.action}`" if row.route.action else "",
            span(row.window),
            row.state,
            f"`{row.rule}`" if row.rule else "",
            row.holder,
        )
        yield f"| {' | '.join(cells)} |\n"


def span(window: Window | None) -> str:
    """Return the microversions of a window: "2.1-2.104", "2.55-2.104"; nothing for None."""
    return "" if window is None else f"2.{window.since}-2.{window.until}"


def _lettered(
    service: str, table: dict[Route, frozenset[str]], routes: list[Route]
) -> Iterator[str]:
    yield f"## {service.capitalize()}\n\n"
    if service == "identity":
        yield "`HEAD` answers as `GET` does, without a body.\n\n"
    yield "| method | path | who may |\n|---|---|---|\n"
    for route in routes:
        letters = table.get(_nameless(route), frozenset())
        if route.service == service and (letters or route.method != "HEAD"):
            words = ", ".join(word for letter, word in LETTERS.items() if letter in letters)
            path = route.path.removeprefix(f"/{service}") or "/"
            yield f"| {route.method} | `{path}` | {words} |\n"


def _placement() -> Iterator[str]:
    yield "## Placement\n\nRead only: the fleet's decider is the only writer, and a write is 405."
    yield " Every route is for admins and services\nin a project; `/usages` also for readers of the"
    yield " project that is asked about.\n\n| method | path | microversions |\n|---|---|---|\n"
    for row in inventory.placement_rows():
        if row.method == "GET":
            yield f"| GET | `{row.path}` | from 1.{row.since} |\n"


def _registry(routes: list[Route]) -> Iterator[str]:
    yield "## Registry\n\nThe read half of a Confluent Schema Registry, without a token. `PUT` and"
    yield " `DELETE` are refused; `POST` finds\na schema that is known.\n\n"
    yield "| method | path |\n|---|---|\n"
    for route in routes:
        if route.service == "registry" and route.method in ("GET", "POST"):
            yield f"| {route.method} | `{route.path.removeprefix('/registry') or '/'}` |\n"


# ---------------------------------------------------------------- README's table

BEGIN, END = "<!-- coverage: written by `make docs` -->\n", "<!-- end of coverage -->\n"
TABLE = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.S)


def coverage() -> str:
    """Return the table of compute operations by resource: served, microversions, not yet."""
    groups: dict[str, list[Row]] = {}
    for row in compute_rows(all_routes()):
        if _nameless(row.route) in COMPUTE_ROUTES:
            groups.setdefault(_resource(row.route), []).append(row)
    absent = [
        name for name, rows in sorted(groups.items()) if all(row.state == MISSING for row in rows)
    ]
    lines = [
        "| resource | operations served | microversions | not yet |",
        "|---|---|---|---|",
        *(_line(name, rows) for name, rows in sorted(groups.items()) if name not in absent),
        "",
        f"Not there at all: {', '.join(absent)}.",
    ]
    return "\n".join(lines) + "\n"


def _resource(route: Route) -> str:
    first, *rest = route.path.removeprefix(f"{COMPUTE}/").split("/")
    if first == "servers" and route.action and len(rest) == 2:
        return "servers: actions"
    if first == "servers" and len(rest) > 1:
        return f"servers: {rest[1]}"
    return first


def _line(resource: str, rows: list[Row]) -> str:
    done = [row for row in rows if row.state != MISSING]
    missing = [row.route.action or row.route.method for row in rows if row.state == MISSING]
    windows = [row.window for row in done if row.window is not None]
    names = [row.route.action for row in done if row.route.action]
    served = f"{len(done)} of {len(rows)}"
    if resource == "servers: actions":
        served += f": {', '.join(names)}"
    if done and all(row.state == EMPTY for row in done):
        served += " (always empty)"
    reach = (
        Window(min(w.since for w in windows), max(w.until for w in windows)) if windows else None
    )
    return f"| {resource} | {served} | {span(reach)} | {', '.join(dict.fromkeys(missing))} |"


def readme(text: str) -> str:
    """Return README's text with the table of today."""
    assert TABLE.search(text), "README.md has no place for the coverage table"
    return TABLE.sub(lambda _: f"{BEGIN}{coverage()}{END}", text)


def main() -> None:
    """Write both."""
    API.write_text(page())
    text = README.read_text()
    README.write_text(readme(text))


if __name__ == "__main__":
    main()

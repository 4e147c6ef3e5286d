"""docs/api.md and README's coverage table are what is served; ``make docs`` writes them."""

from __future__ import annotations

from tests.conformance.document import (
    API,
    MISSING,
    README,
    all_routes,
    compute_rows,
    page,
    readme,
)
from tests.conformance.policy_table import COMPUTE_ROUTES


def test_the_document_is_current() -> None:
    assert API.read_text() == page(), "run `make docs`"


def test_readmes_table_is_current() -> None:
    text = README.read_text()
    assert text == readme(text), "run `make docs`"


def test_every_route_is_in_it() -> None:
    """Identity's HEAD answers as its GET: one sentence says so."""
    text = page()
    for route in all_routes():
        path = route.path.removeprefix(f"/{route.service}") or "/"
        if route.method != "HEAD" and route.service in ("compute", "identity", "image"):
            assert f"| {route.method} | `{path}` |" in text, route


def test_what_nova_has_is_served_or_said_to_be_missing() -> None:
    rows = compute_rows(all_routes())
    served = {(row.route.shape, row.route.method, row.route.action) for row in rows}
    assert {(r.path, r.method, r.action) for r in COMPUTE_ROUTES} <= served
    assert any(row.state == MISSING for row in rows)

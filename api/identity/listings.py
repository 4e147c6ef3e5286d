"""Lists: which part of one a query asks for, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import falcon
from sqlalchemy import Table

from api.http.body import write_json
from api.identity.answers import MOUNT
from api.identity.directory import Directory, not_found
from projections.identity.listing import Match, Page, UnknownMarker, page_of_documents

Filters = Mapping[str, Callable[[str], Any]]
"""By query parameter (and column): how its text becomes a value."""

COMPARISONS = ("contains", "startswith", "endswith")
SORT_KEYS = frozenset({"name", "id", "enabled", "domain_id"})
LIMIT_MAX = 1000
"""Keystone's ``max_db_limit``."""


def flag(text: str) -> bool:
    """A boolean of a query: everything is true but 0 and false."""
    return text.lower() not in ("0", "false")


def present(req: falcon.Request, name: str) -> bool:
    """Whether a flag of a query is set: named, and not 0 or false."""
    text = req.get_param(name)
    return text is not None and flag(text)


def matches(req: falcon.Request, filters: Filters) -> list[Match]:
    """The filters of a query, ``name__icontains`` and its like included; unknown ones are not.
    Raises 400 for a part of a name that is empty: it would match all."""
    found = []
    for parameter, given in req.params.items():
        column, _, comparison = parameter.partition("__")
        text = given[-1] if isinstance(given, list) else given
        if column not in filters:
            continue
        if not comparison:
            found.append(Match(column, filters[column](text)))
        elif comparison.removeprefix("i") in COMPARISONS and filters[column] is str:
            if not text:
                raise falcon.HTTPBadRequest(description=f"The filter '{parameter}' is empty.")
            plain: Any = comparison.removeprefix("i")
            found.append(Match(column, text, plain, comparison != plain))
    return found


def page_of(req: falcon.Request, table: Table) -> Page:
    """The part of the list that a query asks for. Raises 400."""
    limit = None
    if req.get_param("limit") is not None:
        try:
            limit = int(req.get_param("limit") or "")
        except ValueError:
            limit = 0
        if limit < 1:
            raise falcon.HTTPBadRequest(description="Invalid input for field 'limit'.")
        limit = min(limit, LIMIT_MAX)
    key = req.get_param("sort_key") or "name"
    return Page(
        limit=limit,
        marker=req.get_param("marker"),
        sort_key=key if key in SORT_KEYS and key in table.c else "name",
        descending=(req.get_param("sort_dir") or "").lower() == "desc",
    )


def answer_list(
    directory: Directory,
    req: falcon.Request,
    resp: falcon.Response,
    plural: str,
    table: Table,
    wanted: Sequence[Match],
    path: str | None = None,
) -> None:
    """Answer a list of documents. Raises 404 for an unknown marker."""
    found, full = read_page(directory, req, table, wanted)
    write_list(directory, req, resp, plural, found, path, full)


def read_page(
    directory: Directory, req: falcon.Request, table: Table, wanted: Sequence[Match]
) -> tuple[list[dict[str, Any]], bool]:
    """The part of a list that a query asks for, and whether there may be more. Without a limit it
    is all that one answer holds. Raises 404 for an unknown marker."""
    page = page_of(req, table)
    try:
        return page_of_documents(directory.engine, table, wanted, page)
    except UnknownMarker:
        raise not_found("marker", page.marker or "") from None


def write_list(
    directory: Directory,
    req: falcon.Request,
    resp: falcon.Response,
    plural: str,
    found: Sequence[Mapping[str, Any]],
    path: str | None = None,
    full: bool = False,
) -> None:
    """Answer these items. ``full``: as a page that others may follow, whose address is in a header
    too (RFC 8288): openstacksdk looks for it there."""
    body = listed(directory, req, plural, found, path)
    if full and found:
        query = urlencode({**req.params, "marker": found[-1]["id"]}, doseq=True)
        following = f"{directory.url}{_own_path(req)}?{query}"
        body["links"]["next"] = following
        body["truncated"] = True
        resp.append_link(following, "next")
    write_json(resp, body)


def listed(
    directory: Directory,
    req: falcon.Request,
    plural: str,
    found: Sequence[Mapping[str, Any]],
    path: str | None = None,
) -> dict[str, Any]:
    """A list's body; items that have no links get the one to themselves."""
    query = f"?{req.query_string}" if req.query_string else ""
    return {
        plural: [linked(directory, path or plural, item) for item in found],
        "links": {
            "next": None,
            "self": f"{directory.url}{_own_path(req)}{query}",
            "previous": None,
        },
    }


def linked(directory: Directory, path: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """An item with the link to itself."""
    if "links" in item:
        return dict(item)
    return {**item, "links": {"self": f"{directory.url}/{path}/{item['id']}"}}


def _own_path(req: falcon.Request) -> str:
    return req.path.removeprefix(f"{MOUNT}/v3")

"""Pages: how many, after which, and the link to the next one."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from urllib.parse import urlencode

from api.compute.faults import bad_request
from api.compute.operation import Call


def limit_of(call: Call) -> int:
    """How many items a page may have: what is asked for, up to the API's own bound."""
    most = call.services.settings.list_items_max
    asked = call.last("limit")
    return most if asked is None else min(int(asked), most)


def in_one_answer(call: Call, whole: bool, since: int) -> None:
    """Raise 400 for a list that is more than one answer holds, at a microversion without pages.
    ``since``: the one from which on it has them. Half a list would pass for the whole of it."""
    if not whole:
        raise bad_request(
            "The list is longer than one answer may be. From microversion"
            f" 2.{since} on it can be asked for in pages; 2.{call.version} has none."
        )


def next_links(
    call: Call, path: str, ids: Sequence[str], limit: int, cut: bool = False
) -> list[dict[str, str]]:
    """The link to the next page; empty when this one is not full. ``cut``: it was full of bytes
    before it had so many items."""
    if not ids or (len(ids) < limit and not cut):
        return []
    given: list[tuple[str, str]] = []
    for name, value in call.req.params.items():
        if name not in ("limit", "marker"):
            values = value if isinstance(value, list) else [value]
            given += [(name, one) for one in values]
    given += [("limit", str(limit)), ("marker", ids[-1])]
    # By name alone: values of a repeated parameter (sort_key, sort_dir) keep their order.
    query = urlencode(sorted(given, key=itemgetter(0)))
    return [{"rel": "next", "href": f"{call.link(path)}?{query}"}]

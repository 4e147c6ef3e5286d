"""The query of an image list: filters, order, page.

A key that is not known filters on an additional property of that name, as in Glance, so no key
is an error; bad values of known keys are 400. Source: Glance API reference, "List images".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import falcon
import msgspec

from projections.image.queries import SORT_KEYS, Filter, Sort

LIMIT_DEFAULT = 25
INT_MAX = 2**63 - 1
SORTS_MAX = 8
PATH = "/v2/images"

COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")
VISIBILITIES = ("public", "community", "private", "shared", "all")
MEMBER_STATUSES = ("accepted", "pending", "rejected", "all")
LISTS = ("name", "status", "id", "container_format", "disk_format")
"""Keys that take ``in:a,b,"c,d"``."""

Pairs = Sequence[tuple[str, str]]


class Listing(msgspec.Struct, frozen=True):
    """What is asked for; ``query`` is all of it but the marker, for the links."""

    filter: Filter
    sort: Sort
    limit: int
    marker: str | None
    query: Pairs

    def first(self) -> str:
        """Link to the first page."""
        return f"{PATH}?{urlencode(self.query)}" if self.query else PATH

    def next(self, last_id: str) -> str:
        """Link to the page after the image ``last_id``."""
        return f"{PATH}?{urlencode([*self.query, ('marker', last_id)])}"


def listing_of(query: str, project_id: str | None, admin: bool, limit_max: int) -> Listing:
    """The listing that the query string asks for. Raises 400."""
    pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
    if any("\0" in text for pair in pairs for text in pair):
        raise _bad("The query contains a NUL character.")
    asked = dict(pairs)
    if "changes-since" in asked:
        raise _bad("The changes-since filter is no longer available on v2.")
    paging = {"limit", "marker", "sort", "sort_key", "sort_dir"}
    return Listing(
        filter=_filter(
            Filter(caller_project=project_id, is_admin=admin),
            [pair for pair in pairs if pair[0] not in paging],
        ),
        sort=_sort(pairs),
        limit=min(_whole("limit", asked.get("limit", str(LIMIT_DEFAULT))), limit_max),
        marker=asked.get("marker"),
        query=[pair for pair in pairs if pair[0] != "marker"],
    )


def _filter(blank: Filter, pairs: Pairs) -> Filter:
    fields: dict[str, Any] = {}
    equal: dict[str, Sequence[Any]] = {}
    properties: dict[str, str] = {}
    times: dict[str, tuple[str, str, int]] = {}
    for key, value in pairs:
        if key in FIELDS:
            name, read = FIELDS[key]
            fields[name] = read(key, value)
        elif key in EQUALS:
            equal[key] = EQUALS[key](key, value)
        elif key in ("created_at", "updated_at"):
            times[key] = _time(key, value)
        elif key != "tag":
            properties[key] = value
    return msgspec.structs.replace(
        blank,
        **fields,
        equal=equal,
        properties=properties,
        tags=[value for key, value in pairs if key == "tag"],
        times=list(times.values()),
    )


def _sort(pairs: Pairs) -> Sort:
    keys = [value for key, value in pairs if key == "sort_key"]
    ways = [value for key, value in pairs if key == "sort_dir"]
    combined = [value for key, value in pairs if key == "sort"]
    if combined and (keys or ways):
        raise _bad("Old and new sorting syntax cannot be combined")
    if combined:
        parts = [part.strip().partition(":") for part in combined[-1].split(",")]
        keys, ways = [key for key, _, _ in parts], [way or "desc" for _, _, way in parts]
    elif len(ways) > 1 and len(ways) != len(keys or ["created_at"]):
        raise _bad("Number of sort dirs does not match the number of sort keys")
    elif len(ways) <= 1:
        keys = keys or ["created_at"]
        ways = (ways or ["desc"]) * len(keys)
    chosen: dict[str, bool] = {}
    for key, way in [*zip(keys, ways, strict=False), ("created_at", "desc"), ("id", "desc")]:
        if key not in SORT_KEYS:
            raise _bad(f"Invalid sort key: {key}")
        if way not in ("asc", "desc"):
            raise _bad(f"Invalid sort direction: {way}")
        chosen.setdefault(key, way == "desc")
    ordered = list(chosen.items())
    return ordered[: [key for key, _ in ordered].index("id") + 1]


def _whole(key: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > INT_MAX:
        raise _bad(f"{key} must be a non-negative integer")
    return int(text)


def _flag(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise _bad(f"Invalid value {text!r} for {key}: it must be true or false")
    return text.lower() == "true"


def _choice(choices: Sequence[str]) -> Callable[[str, str], str]:
    def read(key: str, text: str) -> str:
        if text not in choices:
            raise _bad(f"Invalid {key} value: {text}; it must be one of {', '.join(choices)}")
        return text

    return read


def _values(key: str, text: str) -> Sequence[str]:
    if key not in LISTS or not text.startswith("in:"):
        return [text]
    try:
        (values,) = csv.reader([text[3:]], strict=True)
    except (csv.Error, ValueError):
        raise _bad(f"Invalid filter value {text!r}. The quotes are not closed.") from None
    return values


def _time(key: str, text: str) -> tuple[str, str, int]:
    comparison, _, moment = text.partition(":")
    if comparison not in COMPARISONS:
        comparison, moment = "eq", text
    try:
        parsed = datetime.fromisoformat(moment)
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return key, comparison, int(parsed.timestamp())
    except (ValueError, OverflowError):
        raise _bad(f"Invalid time {moment!r} for {key}: it must be as ISO 8601 says") from None


def _one(read: Callable[[str, str], Any]) -> Callable[[str, str], Sequence[Any]]:
    return lambda key, text: [read(key, text)]


FIELDS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "visibility": ("visibility", _choice(VISIBILITIES)),
    "member_status": ("member_status", _choice(MEMBER_STATUSES)),
    "os_hidden": ("hidden", _flag),
    "size_min": ("size_min", _whole),
    "size_max": ("size_max", _whole),
}
EQUALS: dict[str, Callable[[str, str], Sequence[Any]]] = {
    **dict.fromkeys((*LISTS, "owner", "checksum", "os_hash_value"), _values),
    "min_disk": _one(_whole),
    "min_ram": _one(_whole),
    "protected": _one(_flag),
}


def _bad(detail: str) -> falcon.HTTPBadRequest:
    return falcon.HTTPBadRequest(description=detail)

"""Strategies for what nobody should send: junk at every level, and good bodies gone wrong."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import strategies as st

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        *("", " ", "a\x00b", "\ud7ff", "\ufffe", "x" * 300, "x" * 70_000, "'; --", "%00", "../.."),
        *("true", "null", "-1", "0", "9" * 30, "9" * 5000, "1e999", "NaN", "2026-01-01T00:00:00Z"),
        *("[", "(a+)+$", "{}", "\u202e", "\u00b2", "\u0663", "e\u0301", "\U0001f984", "100%"),
        "99999999-9999-4999-8999-999999999999",
    ]
)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.sampled_from(
    [0, -1, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 0.1, -0.0, 1e308, 5e-324]
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

RAW = st.binary(max_size=40) | st.sampled_from(
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"0",
        b"\xff\xfe",
        b'{"a": "\xc3"}',
        b'{"server": "\\ud800"}',
        b'{"server": {"name": "a\\u0000b"}}',
        b'{"server": {"name": NaN}}',
        b'{"user": 1e999}',
        b'{"server": ' + b"9" * 400 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"server": {}, "server": {"name": "twice"}}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"x": "' + b"y" * 600_000 + b'"}',
        b"\xef\xbb\xbf{}",
        b"--boundary\r\n",
    ]
)
"""Bodies that are no JSON, or JSON at its edges."""

HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *(
                "Content-Type",
                "Accept",
                "Range",
                "If-None-Match",
                "X-Subject-Token",
                "X-Auth-Token",
            ),
            *("X-Openstack-Request-Id", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"),
            *("Idempotency-Key", "Content-Range", "X-Service-Token", "traceparent"),
        ]
    ),
    st.text(
        st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"]), max_size=20
    )
    | st.sampled_from(
        [
            *("application/json", "text/plain", "application/octet-stream", "multipart/form-data"),
            *("application/json; charset=utf-16", "bytes=0-", "bytes=-1", "bytes=5-1", "*/*"),
            *("bytes=99999999999999999999-", "bytes=0-0,2-3", "compute latest", "compute 2.999"),
            *(
                "application/openstack-images-v2.1-json-patch",
                "gAAAAA",
                "x" * 4000,
                "placement 1.0",
            ),
        ]
    ),
    max_size=3,
)
"""Content-Length is left out: the server in front refuses what is no number."""


def mutated(draw: st.DrawFn, good: Any) -> Any:
    """``good`` with a few of its parts replaced, removed, doubled or added to."""
    body = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(body))
        if not places:
            return draw(JUNK)
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["replace", "replace", "remove", "add", "wrap"]))
        if change == "replace":
            holder[key] = draw(JUNK)
        elif change == "wrap":
            holder[key] = [holder[key]] * draw(st.sampled_from([0, 1, 2, 60]))
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(JUNK)
        else:
            holder.append(draw(JUNK))
    return body


def _places(body: Any) -> Any:
    if isinstance(body, dict):
        for key in sorted(body):
            yield body, key
            yield from _places(body[key])
    elif isinstance(body, list):
        for key in range(len(body)):
            yield body, key
            yield from _places(body[key])


def of_schema(schema: Mapping[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a JSON schema describes, by and large: its shape, names and choices, and the
    bounds with what lies just beyond them."""
    if "enum" in schema:
        return st.sampled_from(list(schema["enum"]))
    if "const" in schema:
        return st.just(schema["const"])
    for choice in ("oneOf", "anyOf"):
        if choice in schema and depth < 6:
            return st.one_of([of_schema(option, depth + 1) for option in schema[choice]])
    types = schema.get("type", "any")
    types = types if isinstance(types, list) else [types]
    return st.one_of([_of_type(kind, schema, depth) for kind in types])


def _of_type(kind: str, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if depth > 6:
        return LEAVES
    if kind == "object":
        members = {
            name: of_schema(inner, depth + 1) | JUNK
            for name, inner in schema.get("properties", {}).items()
        }
        needed = {n: s for n, s in members.items() if n in schema.get("required", ())}
        return st.fixed_dictionaries(
            needed, optional={n: s for n, s in members.items() if n not in needed}
        )
    if kind == "array":
        return st.lists(of_schema(schema.get("items", {}), depth + 1), max_size=3)
    if kind in ("integer", "number"):
        edges = [schema.get("minimum", 0), schema.get("maximum", 2**31)]
        return st.sampled_from([edge + step for edge in edges for step in (-1, 0, 1)]) | NUMBERS
    if kind == "string":
        longest = schema.get("maxLength", 255)
        return st.sampled_from(["a" * longest, "a" * (longest + 1), "1", "a"]) | TEXTS
    return {"null": st.none(), "boolean": st.booleans()}.get(kind, JUNK)


def sendable(body: Any) -> bytes:
    """The body as bytes; what is no JSON at all as it is."""
    if isinstance(body, bytes):
        return body
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)

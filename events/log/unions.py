"""Naming the branch of a union before fastavro writes it.

Given a bare value, fastavro tries each branch of a union by validating the whole value against
it: an optional record is walked twice. Given ``(name, value)`` it just writes. Every union here
is "nothing or one type", so the branch is known beforehand. Measured on ServerCreated: 24.5 → 19.7
µs; naming the branches of plain types as well gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Naming = Callable[[Any], Any]
"""Gives the value with its unions named. Records are changed in place."""


def naming(schema: Any) -> Naming | None:
    """What to do with values of ``schema`` (parsed by fastavro) before they are written; None
    where nothing is to be done."""
    return _naming(schema, {})


def _naming(schema: Any, known: dict[str, Naming | None]) -> Naming | None:
    if isinstance(schema, str):
        return known.get(schema)
    if isinstance(schema, list):
        return _optional(schema[1], known)
    if schema["type"] == "record":
        return _record(schema, known)
    if schema["type"] == "array":
        return _array(_naming(schema["items"], known))
    if schema["type"] == "map":
        return _map(_naming(schema["values"], known))
    return None


def _optional(branch: Any, known: dict[str, Naming | None]) -> Naming | None:
    inner = _naming(branch, known)
    if isinstance(branch, str):
        if branch not in known:
            return None
        name = branch
    else:
        name = branch["name"] if branch["type"] == "record" else branch["type"]

    def run(value: Any) -> Any:
        if value is None:
            return None
        return name, value if inner is None else inner(value)

    return run


def _record(schema: Any, known: dict[str, Naming | None]) -> Naming | None:
    steps: list[tuple[str, Naming]] = []

    def run(value: Any) -> Any:
        for field, step in steps:
            value[field] = step(value[field])
        return value

    # Known before its fields are: a record may hold itself.
    known[schema["name"]] = run
    for field in schema["fields"]:
        step = _naming(field["type"], known)
        if step is not None:
            steps.append((field["name"], step))
    if not steps:
        known[schema["name"]] = None
        return None
    return run


def _array(item: Naming | None) -> Naming | None:
    if item is None:
        return None
    step = item
    return lambda value: [step(each) for each in value]


def _map(item: Naming | None) -> Naming | None:
    if item is None:
        return None
    step = item
    return lambda value: {key: step(each) for key, each in value.items()}

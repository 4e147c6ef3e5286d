"""JSON Schema of bodies and query strings, chosen by microversion, with Nova's messages.

A schema is a function of the microversion; compiled once for each version that is asked for.
At microversion 0 (legacy v2.0) unknown properties pass. ``Property`` gives an object's members
with the window of microversions in which each exists.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import jsonschema_rs
import msgspec

from api.compute.faults import bad_request
from api.compute.microversion import LATEST, OLDEST
from events.bounds import INT4_MAX

INT4_DIGITS = len(str(INT4_MAX)) + 1
"""Digits of the largest number, and a sign."""
FLOAT4_DIGITS = 38

Schema = dict[str, Any]
Build = Callable[[int], Schema]


class Property(msgspec.Struct, frozen=True):
    """A member of an object, existing from microversion ``since`` to ``until``."""

    name: str
    schema: Schema
    since: int = OLDEST
    until: int = LATEST
    required_since: int = LATEST + 1


def object_of(properties: Sequence[Property]) -> Build:
    """The schema of an object with exactly these members."""

    def build(version: int) -> Schema:
        there = [p for p in properties if p.since <= version <= p.until]
        return {
            "type": "object",
            "properties": {p.name: p.schema for p in there},
            "required": [p.name for p in there if version >= p.required_since],
            "additionalProperties": False,
        }

    return build


def wrapped(key: str, build: Build) -> Build:
    """The schema of ``{key: <build>}``, the form of most bodies."""

    def outer(version: int) -> Schema:
        return {
            "type": "object",
            "properties": {key: build(version)},
            "required": [key],
            "additionalProperties": False,
        }

    return outer


def always(schema: Schema) -> Build:
    """The same schema at every microversion."""
    return lambda version: schema


class Body:
    """Checks a body. Thread-safe."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._compiled: dict[int, jsonschema_rs.Draft202012Validator] = {}

    def check(self, body: object, version: int) -> None:
        """Raises 400 in Nova's words."""
        validator = self._compiled.get(version)
        if validator is None:
            validator = self._compiled[version] = _compile(self._build, version)
        try:
            validator.validate(body)
        except jsonschema_rs.ValidationError as error:
            raise bad_request(_body_message(error)) from None


class Query:
    """Checks and reads a query string: ``properties`` give each parameter's (repeatable)
    values. Unknown parameters are dropped before ``strict_since`` and refused from it on."""

    def __init__(self, properties: Sequence[Property] = (), strict_since: int = 102) -> None:
        self._properties = properties
        self._strict_since = strict_since
        self._compiled: dict[int, jsonschema_rs.Draft202012Validator] = {}

    def read(self, params: Mapping[str, Any], version: int) -> dict[str, list[str]]:
        """The known parameters, each with its values in order. Raises 400."""
        if not params:
            return {}
        given = {k: v if isinstance(v, list) else [v] for k, v in params.items()}
        known = {p.name for p in self._properties if p.since <= max(version, 1) <= p.until}
        unknown = [name for name in given if name not in known]
        if unknown and version >= self._strict_since:
            raise bad_request(_unexpected(unknown))
        asked = {name: values for name, values in given.items() if name in known}
        for name, values in asked.items():
            if any("\x00" in value for value in values):
                raise bad_request(f"Invalid input for query parameters {name}.")
        validator = self._compiled.get(version)
        if validator is None:
            validator = self._compiled[version] = _compile(self._schema, version)
        try:
            validator.validate(asked)
        except jsonschema_rs.ValidationError as error:
            raise bad_request(_query_message(error)) from None
        return asked

    def _schema(self, version: int) -> Schema:
        there = [p for p in self._properties if p.since <= version <= p.until]
        return {"type": "object", "properties": {p.name: p.schema for p in there}}


def _compile(build: Build, version: int) -> jsonschema_rs.Draft202012Validator:
    schema = build(max(version, OLDEST))
    if version < OLDEST:
        schema = _tolerant(schema)
    return jsonschema_rs.Draft202012Validator(
        schema, formats=FORMATS, validate_formats=True, ignore_unknown_formats=False
    )


def _tolerant(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if (k, v) != ("additionalProperties", False)}
        return {k: _tolerant(v) for k, v in kept.items()}
    if isinstance(schema, list):
        return [_tolerant(item) for item in schema]
    return schema


def _unexpected(names: Sequence[str]) -> str:
    quoted = ", ".join(repr(name) for name in sorted(names))
    verb = "was" if len(names) == 1 else "were"
    return f"Additional properties are not allowed ({quoted} {verb} unexpected)"


def _reason(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Format):
        return MESSAGES.get(kind.format, f"{error.instance!r} is not a {kind.format!r}")
    return error.message.replace('"', "'")


def _body_message(error: jsonschema_rs.ValidationError) -> str:
    path = list(error.instance_path)
    if not path:
        return _reason(error)
    return (
        f"Invalid input for field/attribute {path[-1]}. Value: {error.instance}. {_reason(error)}"
    )


def _query_message(error: jsonschema_rs.ValidationError) -> str:
    name = next(iter(error.instance_path), "")
    return f"Invalid input for query parameters {name}. Value: {error.instance}. {_reason(error)}"


def _printable(text: str) -> bool:
    """No control, format, surrogate, private or unassigned characters, no line separators."""
    if text.isascii():
        return text.isprintable()
    return all(
        (kind := unicodedata.category(character))[0] != "C" and kind not in ("Zl", "Zp")
        for character in text
    )


def _is_name(value: str) -> bool:
    return value == value.strip() and _printable(value)


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_date_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_address(version: int) -> Callable[[str], bool]:
    parse = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address

    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _is_whole(value: str) -> bool:
    """Whether a text of digits is a number that a record holds; its pattern is checked apart."""
    digits = value.lstrip("0")
    return len(digits) <= INT4_DIGITS and (not digits.isdecimal() or int(digits) <= INT4_MAX)


def _is_rxtx_factor(value: str) -> bool:
    whole, _, rest = value.partition(".")
    return len(whole.lstrip("0")) <= FLOAT4_DIGITS and len(rest) <= FLOAT4_DIGITS


FORMATS: dict[str, Callable[[str], bool]] = {
    "name": _is_name,
    "printable": _printable,
    "base64": _is_base64,
    "iso-date-time": _is_date_time,
    "ipv4-address": _is_address(4),
    "ipv6-address": _is_address(6),
    "whole": _is_whole,
    "rxtx-factor": _is_rxtx_factor,
}
"""Formats that Nova checks in its own way."""

MESSAGES = {
    "whole": "The number is too large.",
    "rxtx-factor": "The number is too large.",
    "name": "An invalid 'name' value was provided. The name must be: printable characters. "
    "Can not start or end with whitespace.",
    "printable": "An invalid value was provided. It must be: printable characters.",
}

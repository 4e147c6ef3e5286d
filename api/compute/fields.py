"""The value types that Nova's schemas are made of (api reference, "parameters")."""

from __future__ import annotations

import ipaddress
from typing import Any

from events.bounds import INT4_MAX

Schema = dict[str, Any]

BOOLEAN: Schema = {
    "type": ["boolean", "string"],
    "enum": [
        *(True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"),
        *(False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"),
    ],
}
TRUE_WORDS = frozenset({"true", "1", "on", "yes"})


def is_true(value: object) -> bool:
    """Whether a valid ``BOOLEAN`` means true."""
    return value is True or (isinstance(value, str) and value.lower() in TRUE_WORDS)


NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
ZONE_NAME: Schema = {**NAME, "pattern": "^[^:]+$"}
DESCRIPTION: Schema = {
    "type": ["string", "null"],
    "minLength": 0,
    "maxLength": 255,
    "format": "printable",
}


def whole(minimum: int, pattern: str) -> Schema:
    """A whole number from ``minimum`` to 2147483647, also as a text of that ``pattern``. The
    format bounds the text as ``maximum`` bounds the number."""
    return {
        "type": ["integer", "string"],
        "pattern": pattern,
        "minimum": minimum,
        "maximum": INT4_MAX,
        "format": "whole",
    }


POSITIVE: Schema = whole(1, "^0*[1-9][0-9]*$")
NON_NEGATIVE: Schema = whole(0, "^[0-9]+$")
COUNT: Schema = {key: value for key, value in POSITIVE.items() if key != "maximum"}
"""Of what has a bound of its own, with its own words."""
MINUS_1_OR_MORE: Schema = whole(-1, "^(-1|[0-9]+)$")
HOSTNAME: Schema = {
    "type": "string",
    "minLength": 2,
    "maxLength": 63,
    "pattern": "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$",
}
FQDN: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[a-zA-Z0-9-._]*$",
}
METADATA: Schema = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/\\x00]*$"}
TAGS_MAX = 50
TAGS: Schema = {"type": "array", "items": TAG, "maxItems": TAGS_MAX}
UUID: Schema = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$",
}
PROJECT_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[a-zA-Z0-9-]*$",
}
FLAVOR_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^(?! )[a-zA-Z0-9. _-]+(?<! )$",
}
KEY_PAIR_NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^(?! )[_\\- a-zA-Z0-9]+(?<! )$",
}
KEY_PAIR_NAME_92: Schema = {**KEY_PAIR_NAME, "pattern": "^(?! )[@._\\- a-zA-Z0-9]+(?<! )$"}
DISK_CONFIG: Schema = {"type": "string", "enum": ["AUTO", "MANUAL"]}


def address(text: str) -> str:
    """A valid address in its canonical form (RFC 5952), by which alone two can be compared."""
    return str(ipaddress.ip_address(text)) if text else ""


IPV4: Schema = {"type": "string", "format": "ipv4-address"}
IPV6: Schema = {"type": "string", "format": "ipv6-address"}
CERTIFICATES: Schema = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}
ANY: Schema = {}
NULL: Schema = {"type": "null"}


def single(schema: Schema) -> Schema:
    """A query parameter that may be given once."""
    return {"type": "array", "items": schema, "maxItems": 1}


def several(schema: Schema) -> Schema:
    """A query parameter that may be repeated."""
    return {"type": "array", "items": schema}


QUERY_TEXT: Schema = several({"type": "string"})
QUERY_FILTER: Schema = several({"type": "string", "minLength": 1})
"""To filter by: who leaves out by mistake what to look for must not get all."""
QUERY_LIMIT: Schema = several({"type": "string", "pattern": "^[0-9]+$", "maxLength": 18})
QUERY_INSTANT: Schema = single({"type": "string", "format": "iso-date-time"})

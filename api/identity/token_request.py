"""The form of ``POST /v3/auth/tokens``."""

from __future__ import annotations

from api.identity.bodies import Schema

_NAMED = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "domain": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        },
    },
}
_SCOPE = {
    "type": "object",
    "maxProperties": 1,
    "properties": {
        "project": _NAMED,
        "domain": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        },
        "system": {
            "type": "object",
            "properties": {"all": {"const": True}},
            "required": ["all"],
        },
    },
}
_PROOFS = {
    "methods": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": 4,
    },
    "password": {
        "type": "object",
        "required": ["user"],
        "properties": {
            "user": {
                **_NAMED,
                "properties": {
                    **_NAMED["properties"],  # type: ignore[dict-item]
                    "password": {"type": "string", "maxLength": 4096},
                },
                "required": ["password"],
            }
        },
    },
    "token": {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}},
    },
    "application_credential": {
        "type": "object",
        "required": ["secret"],
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "string"},
            "secret": {"type": "string", "maxLength": 4096},
            "user": _NAMED,
        },
    },
}
REQUEST = Schema(
    {
        "type": "object",
        "required": ["auth"],
        "properties": {
            "auth": {
                "type": "object",
                "required": ["identity"],
                "properties": {
                    "identity": {
                        "type": "object",
                        "required": ["methods"],
                        "properties": _PROOFS,
                    },
                    "scope": {"anyOf": [{"type": ["string", "null"]}, _SCOPE]},
                },
            }
        },
    }
)

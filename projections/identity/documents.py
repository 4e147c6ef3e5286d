"""Bodies as they lie in the ``document`` columns: JSON without links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from events.bounds import too_nested


def packed(body: Mapping[str, Any]) -> str:
    """A body as it is stored."""
    return orjson.dumps(body).decode()


def unpacked(texts: Mapping[str, str]) -> dict[str, Any]:
    """Values from their JSON texts. A text that is no JSON, or is nested too deep to be written
    again, is a value itself: no row may fail for what somebody wrote."""
    return {name: _value(text) for name, text in texts.items()}


def _value(text: str) -> object:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return text if too_nested(value) else value

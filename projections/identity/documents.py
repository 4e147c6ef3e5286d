"""Bodies as they lie in the ``document`` columns: JSON without links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def packed(body: Mapping[str, Any]) -> str:
    """A body as it is stored."""
    return orjson.dumps(body).decode()


def unpacked(texts: Mapping[str, str]) -> dict[str, Any]:
    """Values from their JSON texts."""
    return {name: orjson.loads(text) for name, text in texts.items()}

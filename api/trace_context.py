"""W3C Trace Context: the one header of clients that is copied into records."""

from __future__ import annotations

import re

TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def valid_traceparent(header: str) -> str:
    """Return ``header`` when it is a valid ``traceparent``, else an empty text: the specification
    says that an invalid one is ignored."""
    return header if TRACEPARENT.fullmatch(header) else ""

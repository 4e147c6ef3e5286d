"""What a check finds."""

from __future__ import annotations

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """``kind`` says which promise was broken, the sentence what shows it."""

    kind: str
    sentence: str

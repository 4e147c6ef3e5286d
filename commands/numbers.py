"""Whole numbers in texts that users and operators wrote: image properties, extra specs, metadata.

``str.isdigit`` and ``str.isdecimal`` accept what ``int`` refuses (``²``), reads as another script's
digits (``٣``), or refuses for its length (4,301 digits). Code that decides may not raise for that.
"""

from __future__ import annotations

from typing import TypeVar

INT64_MAX = 2**63 - 1
"""The largest whole number that a record can hold."""

Default = TypeVar("Default")


def is_whole_number(text: str) -> bool:
    """Return whether ``text`` writes a whole number in ASCII digits, however large."""
    digits = text.strip()
    return digits.isascii() and digits.isdigit()


def whole_number(text: str, default: Default, most: int = INT64_MAX) -> int | Default:
    """Return the number that ``text`` writes in ASCII digits, ``default`` if it writes none.

    Spaces around it are allowed. A number above ``most`` counts as none.
    """
    if not is_whole_number(text):
        return default
    digits = text.strip().lstrip("0") or "0"
    if len(digits) > len(str(most)) or int(digits) > most:
        return default
    return int(digits)

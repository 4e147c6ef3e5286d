"""What an examination finds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Verdict = Literal["ok", "warning", "failed"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: what was seen, and what to do where it is not ``ok``."""

    check: str
    verdict: Verdict
    seen: str
    advice: str = ""


def ok(check: str, seen: str) -> Finding:
    """As it must be."""
    return Finding(check, "ok", seen)


def warning(check: str, seen: str, advice: str) -> Finding:
    """It works, but not for good."""
    return Finding(check, "warning", seen, advice)


def failed(check: str, seen: str, advice: str) -> Finding:
    """It does not work, or loses something one day."""
    return Finding(check, "failed", seen, advice)


def is_sound(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.verdict != "failed" for finding in findings)

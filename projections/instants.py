"""Moments as OpenStack writes them, from microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAIVE_EPOCH = datetime(1970, 1, 1)


def seconds_z(at: int) -> str:
    """``2026-01-02T03:04:05Z``."""
    return (NAIVE_EPOCH + timedelta(seconds=at // 1_000_000)).isoformat() + "Z"


def microseconds(at: int) -> str:
    """``2026-01-02T03:04:05.000000``, without a zone; it is UTC."""
    return (NAIVE_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")


def parse(text: str) -> int:
    """ISO 8601 to microseconds since 1970; UTC where no zone is given. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)

"""A client's pace: who moves enough goes on for ever, who drips has an end."""

from __future__ import annotations

from chronova.roles.pace import GRACE_S, LEAD_S, RATE_MIN, Pace


def dripped_s(pace: Pace) -> int:
    """For how many seconds one byte a second is enough."""
    return next(seconds for seconds in range(10_000) if not pace.kept(1, 1.0))


def test_who_is_fast_enough_is_never_given_up() -> None:
    pace = Pace()
    assert all(pace.kept(RATE_MIN * 10, 10.0) for _ in range(10_000))


def test_who_drips_is_given_up_after_the_grace() -> None:
    assert dripped_s(Pace()) <= GRACE_S


def test_what_came_fast_at_first_is_no_credit_for_hours() -> None:
    pace = Pace()
    assert pace.kept(1 << 30, 1.0)
    assert dripped_s(pace) <= LEAD_S


def test_a_body_has_a_deadline_by_its_size() -> None:
    pace, waited_s, moved = Pace(), 0.0, 0
    while pace.kept(RATE_MIN // 2, 1.0):
        waited_s, moved = waited_s + 1, moved + RATE_MIN // 2
    assert waited_s <= GRACE_S + moved / RATE_MIN

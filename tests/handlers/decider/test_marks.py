"""How the marks of one append follow those of the one before."""

from __future__ import annotations

import pytest

from handlers.decider.marks import Marks


@pytest.mark.parametrize(
    ("before", "newer", "after"),
    [
        ((68, [58, 59]), (57, []), (68, [58, 59])),
        ((68, [58, 59]), (58, []), (68, [59])),
        ((68, [58, 59]), (70, [59]), (70, [59])),
        ((68, [58, 59]), (70, []), (70, [])),
        ((68, []), (57, []), (68, [])),
        ((68, [58]), (64, [60]), (68, [60])),
    ],
)
def test_what_is_held_stays_so_until_it_is_said_to_be_delivered(
    before: tuple[int, list[int]], newer: tuple[int, list[int]], after: tuple[int, list[int]]
) -> None:
    """A new owner that had not yet failed to reach a host without a topic said that nothing was
    held, and the next one delivered none of it: two orders of a simulated seed were lost."""
    made = Marks(delivered=before[0], held=before[1]).after(
        Marks(delivered=newer[0], held=newer[1])
    )
    assert (made.delivered, made.held) == after

"""Functions that are done in one piece: a decision is not broken off while one of them runs.

A decision that takes too long is broken off wherever it is (``handlers.decider.budget``). Most of
what it did is thrown away with it. A function that changes what outlives the decision, as an
index, is marked ``@whole``; its time is not counted either, for the next decision profits from it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

WHOLE: set[CodeType] = set()
"""The code of these functions."""

F = TypeVar("F", bound=Callable[..., Any])


def whole(function: F) -> F:
    """Mark a function as one that is never broken off. It is returned as it is, and must be short
    or done once."""
    WHOLE.add(function.__code__)
    return function

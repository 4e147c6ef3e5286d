"""Looking for garbage less often, while something long is folded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """A fold makes many objects and no cycles: looking for those takes a quarter of the time
    (52 → 40 µs for an event, measured)."""
    before = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)

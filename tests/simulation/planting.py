"""How bugs are planted: one piece of the real code is replaced by a wrong one for a while.

A replacement has the signature of what it replaces. Otherwise the bug would be found by the
``TypeError`` that it causes, whatever the harness looks at.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec

Apply = Callable[[], Iterator[None]]


class Planted(msgspec.Struct, frozen=True):
    """A bug and how it is to be found.

    ``kinds``: the kinds of violation that are its symptoms. ``workload`` and ``faults``: where only
    some bring it to light; None: drawn. ``within``: seeds that are enough. ``through_log``: only
    those in which commands are not handed over in memory, so that it is seen what is missing.
    """

    apply: Callable[[], AbstractContextManager[None]]
    kinds: frozenset[str]
    workload: str | None
    faults: tuple[str, ...] | None
    within: int
    through_log: bool

    @property
    def seeds(self) -> range:
        """The seeds that are tried."""
        return range(1, self.within + 1, 2 if self.through_log else 1)


PLANTED: dict[str, Planted] = {}
"""By the name of the function that plants it."""


def planted(
    *kinds: str,
    workload: str | None = None,
    faults: tuple[str, ...] | None = None,
    within: int = 40,
    through_log: bool = False,
) -> Callable[[Apply], Apply]:
    """Register a bug under the name of its function."""

    def plant(apply: Apply) -> Apply:
        PLANTED[apply.__name__] = Planted(
            contextmanager(apply), frozenset(kinds), workload, faults, within, through_log
        )
        return apply

    return plant


@contextmanager
def swapped(owner: Any, name: str, wrong: Any) -> Iterator[None]:
    """Let ``owner.name`` be ``wrong`` meanwhile. Raises ``TypeError`` when they are not alike."""
    right = owner.__dict__[name]
    _check_alike(name, right, wrong)
    setattr(owner, name, wrong)
    try:
        yield
    finally:
        setattr(owner, name, right)


@contextmanager
def replaced(table: Any, key: str, wrong: Any) -> Iterator[None]:
    """Let ``table[key]`` be ``wrong`` meanwhile. Raises ``TypeError`` when they are not alike."""
    right = table[key]
    _check_alike(key, right, wrong)
    table[key] = wrong
    try:
        yield
    finally:
        table[key] = right


def _check_alike(name: str, right: Any, wrong: Any) -> None:
    if _shape(right) != _shape(wrong):
        raise TypeError(f"{name}: {_shape(wrong)} cannot replace {_shape(right)}")


def _shape(value: Any) -> object:
    """Of a function its parameters, of anything else its type."""
    if not inspect.isfunction(value):
        return type(value)
    parameters = inspect.signature(value).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]

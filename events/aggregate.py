"""Aggregates: things with a history, each the fold of its own events.

``evolve(state, event) -> state`` never fails and never refuses: an event is a fact. The
decider, the projections, time travel and the simulation all use this one fold.

A domain package registers its aggregates when imported. Which aggregates an event changes
is said by the event's class (``Event.folds``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar, cast

import msgspec

from events.message import Command, Event
from events.sharing import SHARED, sharing

Evolve = Callable[[Any, Any], Any]
F = TypeVar("F", bound=Evolve)


def begun_by(*beginnings: type[Event]) -> Callable[[F], F]:
    """Make ``evolve`` total: only these events begin an aggregate. An event about one that is not
    there (any more) changes nothing."""

    def total(evolve: F) -> F:
        @wraps(evolve)
        def evolved(state: Any, event: Any) -> Any:
            if state is None and not isinstance(event, beginnings):
                return None
            return evolve(state, event)

        return cast(F, evolved)

    return total


class Aggregate(msgspec.Struct, frozen=True):
    """One kind of aggregate.

    ``gone(state)``: nothing will happen to it any more; a decider forgets it.
    ``deadline(state)``: the moment (microseconds) at which the command ``overdue(state)`` is to
    be decided, None when nothing is awaited. ``shared``: the fields of the state whose values
    other states are likely to have as well (``events/sharing.py``).
    """

    name: str
    domain: str
    state: type
    evolve: Evolve
    gone: Callable[[Any], bool] = lambda state: False
    deadline: Callable[[Any], int | None] | None = None
    overdue: Callable[[Any], Command] | None = None
    shared: tuple[str, ...] = ()


AGGREGATES: dict[str, Aggregate] = {}
"""Every aggregate by name."""


def register(aggregate: Aggregate) -> Aggregate:
    """Make an aggregate known. Its name is unique over all domains."""
    if aggregate.shared:
        SHARED[aggregate.state] = aggregate.shared
        aggregate = msgspec.structs.replace(aggregate, evolve=sharing(aggregate.evolve))
    known = AGGREGATES.setdefault(aggregate.name, aggregate)
    if known.domain != aggregate.domain:
        raise TypeError(f"the aggregate {aggregate.name} belongs to {known.domain} already")
    return aggregate


def folds_of(event: Event) -> Iterator[tuple[Aggregate, str]]:
    """The aggregates that ``event`` changes, each with its id; the subject first."""
    for name, field in event.folds:
        yield AGGREGATES[name], getattr(event, field)

"""Decisions as data, and the table of who decides what.

``decide(state, command, at) -> Decision`` is pure: no I/O, clock or randomness; ids, seeds
and the time come with the command. It may not raise: the runner turns an exception into a
recorded ``CommandFailed`` and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from events.message import Command, Event


class Refusal(msgspec.Struct, frozen=True):
    """Why a command is refused: HTTP status, the field's error code, one sentence."""

    status: int
    code: str
    detail: str


class Decision(msgspec.Struct, frozen=True):
    """What was decided: the facts, or a refusal. Neither: accepted, nothing changes."""

    events: tuple[Event, ...] = ()
    refusal: Refusal | None = None


def accept(*events: Event) -> Decision:
    """Accept the command; these facts follow (perhaps none)."""
    return Decision(events=events)


def refuse(status: int, code: str, detail: str) -> Decision:
    """Refuse the command; ``code`` is the error's name in the field: ``conflictingRequest`` …"""
    return Decision(refusal=Refusal(status, code, detail))


class View(Protocol):
    """The whole partition, to read: for decisions about more than one aggregate."""

    @property
    def level(self) -> int:
        """The feature level that is enabled: what a younger version would do otherwise is done
        in the old way below it (``events.features``)."""

    def get(self, aggregate: str, id: str) -> Any:
        """The state, or None."""

    def all(self, aggregate: str) -> Mapping[str, Any]:
        """Every live state of that kind by id. Not to be changed."""

    def index(self, name: str) -> Any:
        """The index of that name in ``INDEXES``: of the committed states, without ``changed``."""

    def changed(self, aggregate: str) -> Mapping[str, Any | None]:
        """The states of that kind that differ from what an index holds; None: gone."""


class Index(Protocol):
    """What is derived from all committed states of one kind, so that no decision reads them all.

    A partition makes it at its first use, and tells it of each state that is committed later.
    """

    def replace(self, id: str, before: Any | None, after: Any | None) -> None:
        """Note that the state ``id`` was committed as ``after``. None: it was not, or is gone."""


class Indexed(NamedTuple):
    """Which aggregate an index is of, and how it is made of all states by id."""

    aggregate: str
    make: Callable[[Mapping[str, Any]], Index]


INDEXES: dict[str, Indexed] = {}
"""By name; filled as the command packages are imported."""


def register_index(name: str, aggregate: str, make: Callable[[Mapping[str, Any]], Index]) -> None:
    """Make an index known. Raises ``TypeError`` when its name is another one's."""
    if name in INDEXES:
        raise TypeError(f"two indexes are called {name}")
    INDEXES[name] = Indexed(aggregate, make)


Decide = Callable[[Any, Any, int], Decision]


class Decider(msgspec.Struct, frozen=True):
    """Who decides a command: ``aggregate`` None means ``decide`` takes the whole ``View``."""

    command: type[Command]
    decide: Decide
    aggregate: str | None
    key: str | None


DECIDERS: dict[str, Decider] = {}
"""By the command's message name; filled as the command packages are imported."""

F = TypeVar("F", bound=Callable[..., Decision])


def decides(command: type[Command], aggregate: str, key: str) -> Callable[[F], F]:
    """``decide(state, command, at)`` on one aggregate, whose id is the command's field ``key``."""

    def record(decide: F) -> F:
        _add(Decider(command, decide, aggregate, key))
        return decide

    return record


def decides_on_view(command: type[Command]) -> Callable[[F], F]:
    """``decide(view, command, at)`` on everything in the partition."""

    def record(decide: F) -> F:
        _add(Decider(command, decide, None, None))
        return decide

    return record


def _add(decider: Decider) -> None:
    if decider.command.type_name in DECIDERS:
        raise TypeError(f"{decider.command.type_name} is decided twice")
    DECIDERS[decider.command.type_name] = decider

"""Reactions: what follows from a fact in other domains or on a host.

``react(event, state) -> follows`` is pure: what follows is a function of committed facts. It is
delivered after their commit, in order and at least once, by the owner or by a later one, which
derives it again. ``state`` is the subject's state after the event. The reactions of one operation
stand in one file and read like its sequence diagram.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from events.message import Command, Event, Work


class Send(msgspec.Struct, frozen=True):
    """A command to a domain (the command's own), to the partition of ``key``."""

    command: Command
    key: str


class Dispatch(msgspec.Struct, frozen=True):
    """Work for the agent of ``host``."""

    work: Work
    host: str


Follow = Send | Dispatch
React = Callable[[Any, Any], Iterable[Follow]]

REACTIONS: dict[str, list[React]] = {}
"""By the event's message name; filled as the reaction modules are imported."""

F = TypeVar("F", bound=React)


def reacts(*events: type[Event]) -> Callable[[F], F]:
    """``react(event, state)`` is called for each of these events."""

    def record(react: F) -> F:
        for event in events:
            REACTIONS.setdefault(event.type_name, []).append(react)
        return react

    return record


def follows_of(event: Event, state: Any) -> Iterable[Follow]:
    """All that follows from ``event``."""
    for react in REACTIONS.get(event.type_name, ()):
        yield from react(event, state)

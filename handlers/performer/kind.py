"""Kinds of work: how each is done, and what the performer must know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import msgspec

from commands.work import Order, Wish
from events.message import Command, Context
from handlers.performer.mark import Marks
from handlers.performer.piece import Piece, Task

Perform = Callable[[Any, Task], Command | None]
"""``perform(work, task)`` makes the work true and returns the report that ends it."""

Fail = Callable[[Any, Task, str], Command]
"""``failed(work, task, reason)`` returns the report that the work failed. It may raise."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of work.

    ``marks``: the marks of a host, None where work is harmless to repeat. ``once``: the effect must
    not happen twice, so a mark is written before it. ``long``: it may take minutes and is
    abandoned when the process ends; it has a pool of its own. ``queued(work, host)`` is the report
    that it waits for its turn while others make progress. ``overtaken(work, task)`` is the report
    about work whose subject has done newer work since; None where that says nothing of it.
    """

    perform: Perform
    failed: Fail
    marks: Callable[[str], Marks] | None = None
    once: bool = False
    long: bool = False
    queued: Callable[[Any, str], Command] | None = None
    overtaken: Callable[[Any, Task], Command | None] | None = None


Kinds = Mapping[str, Kind]
"""By the work's message name."""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Work that no kind could do: unreadable, unknown, or failed without a report of its own."""

    host: str
    type_name: str
    subject: str
    version: tuple[int, int, int]
    context: Context
    reason: str
    key: str = ""
    """The key of reports about it, where its record says one."""


def lost(piece: Piece, reason: str) -> Lost:
    """Return what a piece of work is, that cannot be done for this reason."""
    return Lost(
        host=piece.host,
        type_name=piece.type_name,
        subject=piece.work.subject,
        version=piece.version,
        context=piece.context,
        reason=reason,
    )


Unable = Callable[[Lost], Command | None]
"""Makes the report about lost work; None where the domain has none."""


def performable(work: object) -> TypeGuard[Order | Wish]:
    """Whether it has a subject and a version."""
    return isinstance(work, Order | Wish)

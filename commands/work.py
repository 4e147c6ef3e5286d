"""Work for hosts: orders, which are done once, and wishes, which are kept true.

Each piece of work has a ``subject`` (what it is about) and a ``version``. For one subject the
higher version is the newer one and supersedes the others. Both travel in the headers of the
record too, so that a host can name work that it cannot read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from events.message import Generation, Work

Version = tuple[int, int, int]

SUBJECT, VERSION, KEY = "ce_subject", "ce_workversion", "ce_workkey"

Operation = Annotated[int, "Number of the operation among the server's; older reports are stale."]


class Order(Work, frozen=True, kw_only=True):
    """Something to do once. A host that did it only repeats its report.

    ``generation`` and ``operation`` number the order. ``rank`` decides between two orders with the
    same numbers.
    """

    abstract: ClassVar[bool] = True
    subject_field: ClassVar[str] = ""
    rank: ClassVar[int] = 0
    generation: Generation
    operation: Operation

    @property
    def subject(self) -> str:
        """What the order is about."""
        return str(getattr(self, self.subject_field))

    @property
    def version(self) -> Version:
        """Generation, operation and rank."""
        return (self.generation, self.operation, self.rank)


class Wish(Work, frozen=True, kw_only=True):
    """The wanted state of a subject on a host. The newest one is made true, again at each start.

    ``revision`` rises with each change of what is wanted.
    """

    abstract: ClassVar[bool] = True
    subject_field: ClassVar[str] = ""
    revision: Annotated[int, "Number of the wanted state; the highest one holds."]

    @property
    def subject(self) -> str:
        """What the wish is about."""
        return str(getattr(self, self.subject_field))

    @property
    def version(self) -> Version:
        """The revision."""
        return (self.revision, 0, 0)


def name_work(made: dict[str, str], work: Work) -> dict[str, str]:
    """Add to the headers of the record of ``work`` what it is about; return them."""
    if isinstance(work, Order | Wish):
        made[SUBJECT] = work.subject
        made[VERSION] = ".".join(map(str, work.version))
        made[KEY] = str(getattr(work, "project_id", ""))
    return made


class Named(msgspec.Struct, frozen=True):
    """What the headers of a record say of its work. ``key``: that of reports about it."""

    subject: str = ""
    version: Version = (0, 0, 0)
    key: str = ""


def named_work(headers: Mapping[str, str]) -> Named:
    """What the headers of a record say of its work; empty where they say nothing."""
    parts = headers.get(VERSION, "").split(".")
    subject = headers.get(SUBJECT, "")
    if not subject or len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return Named()
    version = (int(parts[0]), int(parts[1]), int(parts[2]))
    return Named(subject, version, headers.get(KEY, ""))

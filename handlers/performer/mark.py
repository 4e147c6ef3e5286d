"""The durable mark of what was last done for a subject, kept with the subject itself.

A mark is written with the effect: ``begun`` before an effect that must not happen twice, ``done``
or ``failed`` after it with the report that follows. After a crash the mark tells whether work that
comes again is to be done, to be finished, or only to be reported again.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from commands.work import Version
from events.message import Command, message_class

Stage = Literal["begun", "done", "failed", "removed"]
"""``removed``: nothing of the subject is there any more, and the work of ``version`` is why."""


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the work of ``version`` went.

    ``before``: what ``Marks.incarnation`` said before the effect. ``report`` and ``fields``: the
    message name and content of the report that ended the work. ``ahead``: the log went back since,
    so what the subject did is not all known to the log.
    """

    version: Version
    stage: Stage
    before: str = ""
    report: str = ""
    fields: dict[str, Any] = {}
    ahead: bool = False


class Marks(Protocol):
    """Where the marks of one host's subjects are kept."""

    def mark(self, subject: str) -> Mark | None:
        """The subject's mark, or None when there is none."""
        ...

    def put_mark(self, subject: str, mark: Mark) -> None:
        """Keep the mark durably. Nothing happens when nothing is there of the subject."""
        ...

    def incarnation(self, subject: str) -> str:
        """A text that differs after each start of the subject; empty while it does not run."""
        ...


def ended(version: Version, stage: Stage, report: Command) -> Mark:
    """The mark of work that ended with ``report``."""
    fields = msgspec.to_builtins(report)
    return Mark(version=version, stage=stage, report=report.type_name, fields=fields)


def report_of(mark: Mark) -> Command | None:
    """The report that ended the marked work, or None when it cannot be read any more."""
    try:
        report = msgspec.convert(mark.fields, message_class(mark.report))
    except (LookupError, msgspec.ValidationError):
        return None
    return report if isinstance(report, Command) else None

"""Do one piece of work: look at its mark, do what is missing, mark and report the outcome.

Every piece ends in exactly one of done, failed, superseded and cancelled. A crash before the mark
is written leaves work that is done again by steps that look at reality first; a crash after it
leaves work that is only reported again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from commands.work import Order, Version
from events.bounds import printable
from events.message import Command
from handlers.performer.kind import Kind, Unable, lost
from handlers.performer.mark import Mark, Marks, ended, report_of
from handlers.performer.piece import CalledOff, Outcome, Piece, WorkError

TRANSIENT_TRIES = 4
TRANSIENT_PAUSE_S = 1.0

PROGRESS_EVERY = 15_000_000
"""Microseconds between two progress reports of one piece; a lease is 20 times as long."""

Send = Callable[[Command, Piece, str, bool], None]
"""``send(report, piece, id, again)`` queues a report. ``again``: it is said again later, so it may
be left out."""

logger = structlog.get_logger("performer")


class PieceTask:
    """``piece.Task`` for one piece."""

    def __init__(
        self,
        piece: Piece,
        marks: Marks | None,
        send: Send,
        clock: Callable[[], int],
        pause: Callable[[float], object],
    ) -> None:
        self.host = piece.host
        self.began: Mark | None = None
        self._piece = piece
        self._marks = marks
        self._send = send
        self._clock = clock
        self._pause = pause
        self._progressed_at = clock()
        self._number = 0

    def report(self, report: Command) -> None:
        """Queue a report; its id follows from the work's, so a repetition is decided once."""
        self._send(report, self._piece, f"{self._piece.context.id}:{report.type_name}", False)

    def progress(self, report: Callable[[], Command]) -> None:
        """Queue a report of progress, unless the last one was a moment ago.

        Its id has a number that rises also over restarts.
        """
        now = self._clock()
        if 0 <= now - self._progressed_at < PROGRESS_EVERY:
            return
        self._progressed_at = now
        self._number = max(self._number + 1, now // 1000)
        made = report()
        id = f"{self._piece.context.id}:{self._number}:{made.type_name}"
        self._send(made, self._piece, id, True)

    def proceed(self) -> None:
        """Raises ``CalledOff`` when the piece is not to be gone on with."""
        reason = self._piece.calling.reason
        if reason is not None:
            raise reason

    def on_called_off(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the piece is called off."""
        self._piece.calling.on_off(callback)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the process."""
        self._pause(seconds)

    def happened(self) -> bool:
        """Whether the subject runs and was started since the effect was begun."""
        if self.began is None or self._marks is None:
            return False
        now = self._marks.incarnation(self._piece.work.subject)
        return bool(now) and now != self.began.before


class Performance:
    """Does one piece of work with its kind."""

    def __init__(self, kind: Kind, piece: Piece, task: PieceTask, unable: Unable) -> None:
        self._kind = kind
        self._piece = piece
        self._task = task
        self._unable = unable
        self._marks = kind.marks(piece.host) if kind.marks is not None else None

    @property
    def _logs(self) -> Any:
        piece = self._piece
        return logger.bind(
            work=piece.type_name,
            subject=piece.work.subject,
            request_id=piece.context.request_id,
        )

    def run(self) -> Outcome:
        """Do the work, report it and return how it ended."""
        try:
            self._task.proceed()
            known = self._known()
            if known is not None:
                return known
            report = self._persist()
        except CalledOff as off:
            self._logs.info(off.outcome)
            return off.outcome
        except Exception as error:  # noqa: BLE001 - reported as the work's failure
            return self._failed(error)
        if report is not None:
            self._mark("done", report)
            self._task.report(report)
        return "done"

    def _known(self) -> Outcome | None:
        """How the work ended before, said again; None when it is to be done (to the end)."""
        if self._marks is None or not isinstance(self._piece.work, Order):
            return None
        subject, version = self._piece.work.subject, self._piece.version
        mark = self._marks.mark(subject)
        if mark is not None and mark.version > version:
            return self._overtaken(mark)
        if mark is not None and mark.version == version:
            if mark.stage == "begun":
                self._task.began = mark
                return None
            return self._again(mark)
        if self._kind.once:
            before = self._marks.incarnation(subject)
            self._task.began = Mark(version=version, stage="begun", before=before)
            self._marks.put_mark(subject, self._task.began)
        return None

    def _overtaken(self, mark: Mark) -> Outcome:
        overtaken = self._kind.overtaken
        if mark.stage != "removed" and overtaken is not None:
            report: Command | None = overtaken(self._piece.work, self._task)
            if report is not None:
                self._task.report(report)
                return "done"
        self._say_lost(_outdated(mark.version))
        return "failed"

    def _again(self, mark: Mark) -> Outcome:
        self._logs.info("reported_again")
        report = report_of(mark)
        if report is None:
            self._say_lost("The work was done before, by a version with other reports.")
        else:
            self._task.report(report)
        return "failed" if mark.stage == "failed" else "done"

    def _persist(self) -> Command | None:
        """Do the work; a transient failure is tried again a few times, unless called off."""
        for attempt in range(1, TRANSIENT_TRIES):
            try:
                return self._kind.perform(self._piece.work, self._task)
            except WorkError as error:
                if not error.transient:
                    raise
                self._logs.info("transient", attempt=attempt, reason=str(error))
            self._task.pause(TRANSIENT_PAUSE_S * attempt)
            self._task.proceed()
        return self._kind.perform(self._piece.work, self._task)

    def _failed(self, error: Exception) -> Outcome:
        expected = isinstance(error, WorkError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        self._logs.warning("work_failed", reason=reason, exc_info=None if expected else error)
        reason = printable(reason)
        try:
            report = self._kind.failed(self._piece.work, self._task, reason)
        except Exception as unforeseen:  # noqa: BLE001 - reported all the same
            self._logs.error("failure_not_described", exc_info=unforeseen)
            self._say_lost(reason)
            return "failed"
        self._mark("failed", report)
        self._task.report(report)
        return "failed"

    def _mark(self, stage: str, report: Command) -> None:
        """Keep the outcome with the subject. Without it the work would be done again, which is
        harmless for what has no mark from before its effect."""
        if self._marks is None or not isinstance(self._piece.work, Order):
            return
        mark = ended(self._piece.version, "done" if stage == "done" else "failed", report)
        try:
            self._marks.put_mark(self._piece.work.subject, mark)
        except Exception as error:  # noqa: BLE001 - the effect is there and is reported
            self._logs.warning("not_marked", reason=str(error))

    def _say_lost(self, reason: str) -> None:
        self._logs.warning("work_failed", reason=reason)
        piece = self._piece
        with suppress(Exception):
            report = self._unable(lost(piece, reason))
            if report is not None:
                self._task.report(report)


def _outdated(done: Version) -> str:
    return f"The host has already done operation {done[1]} of placement {done[0]}."

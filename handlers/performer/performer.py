"""The loop that takes work from the log, has it done, and writes what came of it.

It uses only the log's reader and its append. At its start it reads its topics to the end that they
have then, so that superseded work is never begun. Killed anywhere, it reads again from its
bookmark; marks kept with the subjects tell what was done (``perform.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from commands.work import Order, Wish, named_work
from events.host_proof import NoProofs, Proofs
from events.log.contract import Log, LogError, Outgoing, Record
from events.log.records import BadRecord, Codec, context_of
from events.message import Command, Context, UnknownMessage
from handlers.performer.bookmark import Bookmark, Keeper, KeptNowhere
from handlers.performer.kind import Kinds, Lost, Unable, lost, performable
from handlers.performer.lanes import Lanes
from handlers.performer.outbox import Outbox
from handlers.performer.perform import Performance, PieceTask
from handlers.performer.piece import Key, Outcome, Piece
from handlers.performer.pool import Pool
from handlers.performer.report_records import ReportRecords
from handlers.performer.watcher import Unwatched, Watcher
from handlers.performer.witness import Appender
from schemas.catalog import UnknownSchema

PENDING_MAX = 1000
"""Subjects with work in hand; beyond it nothing more is read until some is done."""

SAVE_EVERY = 5_000_000
"""Microseconds between two writes of the bookmark."""

QUEUED_EVERY = 60_000_000
"""Microseconds between two reports that a long piece waits for its turn."""

DRAIN_S = 10.0
"""How long short pieces may go on when the process is to end. systemd kills after 30 s."""

TURN_S = 0.05
IDLE_S = 1.0
NOWHERE = ("", -1)

logger = structlog.get_logger("performer")


class Performer:
    """Does the work of hosts. ``step`` is one turn of the loop; one thread's.

    ``sources``: the host whose work a topic holds, by the topic's name.
    ``short`` and ``long``: pools for pieces of each length; None does them in the loop's thread.
    ``unable`` makes the report about work that cannot be done. ``pause(seconds)`` returns early
    when the process is to end. ``appender`` writes the reports instead of ``log``. ``anew``: read
    everything again. ``went_back(host)`` is called before the host's work is read again because
    the log lost some of it.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        sources: Mapping[str, str],
        kinds: Kinds,
        unable: Unable,
        *,
        clock: Callable[[], int],
        pause: Callable[[float], object],
        short: Pool | None = None,
        long: Pool | None = None,
        keeper: Keeper | None = None,
        codec: Codec | None = None,
        watcher: Watcher | None = None,
        appender: Appender | None = None,
        anew: bool = False,
        went_back: Callable[[str], None] = lambda host: None,
        proofs: Proofs | None = None,
    ) -> None:
        self._log = log
        self._kinds = kinds
        self._unable = unable
        self._clock = clock
        self._pause = pause
        self._short = short
        self._codec = codec or Codec()
        self._records = ReportRecords(name, self._codec, clock, proofs or NoProofs())
        self._watcher = watcher or Unwatched()
        self._hosts = dict(sources)
        self._bookmark = Bookmark(keeper or KeptNowhere(), list(self._hosts))
        self._went_back = went_back
        if anew:
            for topic in self._hosts:
                self._bookmark.forget(topic)
            self._bookmark.save()
        self._outbox = Outbox(appender or log)
        self._lanes = Lanes(self._perform, self._may_begin, short, long)
        self._ended_lock = threading.Lock()
        self._ended: list[tuple[str, int]] = []
        self._reported: list[tuple[str, int]] = []
        self._wishes: dict[Key, tuple[str, int]] = {}
        """Topic and offset of the wish that holds, by host and subject."""
        self._died: BaseException | None = None
        self._saved_at = self._queued_at = self._moved_at = clock()
        self._reader = log.reader({(t, 0): o for t, o in self._bookmark.starts().items()})
        self._behind: dict[str, int] | None = None
        """Topics that are not yet read to the end that they had at the start."""

    # ------------------------------------------------------------ the loop

    def step(self, wait_s: float = IDLE_S) -> int:
        """Read work, begin it, write what was reported; return how many records were read.

        Raises ``LogUnavailable`` when the log is away. Any other error, ``TooOld`` among them,
        means that the process must end.
        """
        if self._died is not None:
            raise self._died
        read = self._read(wait_s)
        if self._behind == {}:
            self._lanes.start()
        self._watcher.pending(self._lanes.pending())
        self._say_queued()
        self._flush()
        self._save(SAVE_EVERY)
        return read

    def wake(self) -> None:
        """From any thread: let a waiting ``step`` return now."""
        self._reader.wake()

    def busy(self, host: str, subject: str) -> bool:
        """Work for this subject waits or is under way."""
        return self._lanes.busy(host, subject)

    def at_rest(self) -> bool:
        """Whether nothing waits, is under way, or is to be reported."""
        return not self._lanes.pending() and not self._ended and self._outbox.empty()

    def reached(self) -> dict[str, int]:
        """How far each topic is read: the offset after the last record, by topic."""
        return self._bookmark.reached()

    def full(self) -> bool:
        """Whether so much waits to be written that nothing is to be sent that can be said later."""
        return self._outbox.full()

    def send(self, report: Command, envelope: Context, key: str) -> None:
        """Queue a report that no work led to, however much waits. From any thread."""
        self._outbox.put(self._records.of(report, envelope, key))
        self.wake_loop()

    def close(self) -> None:
        """End: long pieces are abandoned, short ones may end, all reports are written."""
        self._lanes.close()
        self._lanes.call_off([piece for piece in self._lanes.running() if piece.long])
        waited = 0.0
        while self._lanes.running() and waited < DRAIN_S and self._short is not None:
            self._flush_if_possible()
            self._short.wait(TURN_S)
            waited += TURN_S
        self._lanes.call_off(self._lanes.running())
        if self._lanes.running() and self._short is not None:
            self._short.wait(TURN_S)
        self._flush_if_possible()
        self._save(0)
        self._reader.close()

    # ------------------------------------------------------------- reading

    def _read(self, wait_s: float) -> int:
        catching_up = self._behind != {}
        if self._behind is None:
            self._find_ends()
        if self._outbox.full() or (self._lanes.pending() >= PENDING_MAX and not catching_up):
            self._pause(TURN_S)
            return 0
        busy = catching_up or self._ended or not self._outbox.empty()
        records = self._reader.poll(0.0 if busy and not catching_up else wait_s)
        if catching_up:
            records = self._proved(records)
        self._take(records)
        if catching_up:
            self._behind = self._not_reached()
        return len(records)

    def _find_ends(self) -> None:
        """The ends that the topics have at the start. A bookmark beyond one is of another log."""
        ends = {topic: end for (topic, _), end in self._reader.ends().items()}
        for topic, end in ends.items():
            if self._bookmark.ahead(topic, end):
                self._from_the_beginning(topic)
        self._behind = ends
        self._behind = self._not_reached()

    def _not_reached(self) -> dict[str, int]:
        positions = {topic: at for (topic, _), at in self._reader.positions().items()}
        return {t: end for t, end in (self._behind or {}).items() if positions[t] < end}

    def _proved(self, records: Sequence[Record]) -> list[Record]:
        """Without records of topics that turn out to be others than those read before."""
        foreign: set[str] = set()
        for record in records:
            if record.topic not in foreign and self._bookmark.is_foreign(record):
                foreign.add(record.topic)
                self._from_the_beginning(record.topic)
        return [record for record in records if record.topic not in foreign]

    def _from_the_beginning(self, topic: str) -> None:
        logger.warning("read_again", topic=topic, reason="it is not the topic that was read before")
        self._went_back(self._hosts[topic])
        self._bookmark.forget(topic)
        self._reader.seek((topic, 0), 0)

    def _take(self, records: Sequence[Record]) -> None:
        understood = [(record, self._understood(record)) for record in records]
        if any(isinstance(work, str) for _, work in understood):
            self._check_level(records)
        pieces = []
        for record, work in understood:
            if not self._bookmark.admits(record):
                continue
            piece = self._piece(record, work)
            if piece is not None:
                self._bookmark.begin(record.topic, record.offset)
                pieces.append(piece)
        for piece in self._lanes.put(pieces):
            self._end(piece, "superseded", 0.0)

    def _understood(self, record: Record) -> Order | Wish | str:
        """The work in a record, or a sentence that says why it cannot be done."""
        try:
            work = self._codec.decode(record.value)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            return f"The host cannot read the work: {error}"
        if work.type_name not in self._kinds or not performable(work):
            return f"The host does not know {work.type_name}."
        self._codec.levels.saw(work)
        return work

    def _check_level(self, records: Sequence[Record]) -> None:
        """Before work is reported as unknown: see whether it is this version that is too old. Then
        none of it is taken, and the process must end. Raises ``TooOld``, ``LogError``."""
        try:
            self._codec.levels.check()
        except LogError:
            for record in reversed(records):
                self._reader.seek(record.source, record.offset)
            raise

    def _piece(self, record: Record, work: Order | Wish | str) -> Piece | None:
        """The piece of work in a record; None where it was reported as one that cannot be done."""
        host = self._hosts[record.topic]
        try:
            context = context_of(record)
        except BadRecord as error:
            logger.error("unreadable_work", offset=record.offset, reason=str(error))
            return None
        if isinstance(work, str):
            self._lost(record, host, context, work)
            return None
        long = self._kinds[work.type_name].long
        return Piece(record.source, record.offset, host, context, work, long)

    def _lost(self, record: Record, host: str, context: Context, reason: str) -> None:
        """Report work that cannot be done, never pass it over."""
        logger.error("unknown_work", offset=record.offset, reason=reason)
        named = named_work(record.headers)
        type_name = record.headers.get("ce_type", "").removeprefix("chronova.")
        unknown = Lost(
            host=host,
            type_name=type_name,
            subject=named.subject,
            version=named.version,
            context=context,
            reason=reason,
            key=named.key,
        )
        report = self._unable(unknown)
        if report is not None:
            id = f"{context.id}:{report.type_name}"
            self._outbox.put(self._records.following(report, context, id))

    # --------------------------------------------------------- performing

    def _may_begin(self) -> bool:
        return not self._outbox.full()

    def _perform(self, piece: Piece) -> None:
        """Do a piece. What is raised here is a defect of the performer: the process ends."""
        began = time.perf_counter()
        try:
            kind = self._kinds[piece.type_name]
            marks = kind.marks(piece.host) if kind.marks is not None else None
            task = PieceTask(piece, marks, self._report_of, self._clock, self._pause)
            outcome = Performance(kind, piece, task, self._unable).run()
            self._end(piece, outcome, time.perf_counter() - began)
        except Exception as error:
            logger.exception("performer_failed", work=piece.type_name)
            self._died = error
        self.wake_loop()

    def _end(self, piece: Piece, outcome: Outcome, seconds: float) -> None:
        self._watcher.work(piece.type_name, outcome, seconds)
        if outcome == "cancelled":
            return
        place = (piece.source[0], piece.offset)
        with self._ended_lock:
            if isinstance(piece.work, Wish) and outcome != "superseded":
                # The next process makes it true again, so it is read again until a newer one.
                place, self._wishes[piece.key] = self._wishes.get(piece.key, NOWHERE), place
            if place != NOWHERE:
                self._ended.append(place)

    def _say_queued(self) -> None:
        """Report long pieces that wait for their turn, while others make progress.

        So a build does not run out of time because many were asked for at once.
        """
        now = self._clock()
        if 0 <= now - self._queued_at < QUEUED_EVERY:
            return
        moved, self._queued_at = self._moved_at > self._queued_at, now
        for piece in self._lanes.queued() if moved else ():
            queued = self._kinds[piece.type_name].queued
            if queued is not None:
                report = queued(piece.work, piece.host)
                id = f"{piece.context.id}:{now // 1000}:{report.type_name}"
                self._outbox.offer(self._records.following(report, piece.context, id))

    # ----------------------------------------------------------- reporting

    def wake_loop(self) -> None:
        """Let the loop write what was reported, where it may be waiting meanwhile."""
        if self._short is not None:
            self._reader.wake()

    def _report_of(self, report: Command, piece: Piece, id: str, again: bool) -> None:
        self._moved_at = self._clock()
        record = self._records.following(report, piece.context, id)
        if again:
            self._outbox.offer(record)
        else:
            self._outbox.put(record, lambda: self._too_large(piece))
        self.wake_loop()

    def _too_large(self, piece: Piece) -> Outgoing | None:
        """What is written in place of a report that is larger than the log takes."""
        smaller = self._unable(lost(piece, "The host's report is larger than the log takes."))
        if smaller is None:
            return None
        id = f"{piece.context.id}:{smaller.type_name}"
        return self._records.following(smaller, piece.context, id)

    def _flush(self) -> None:
        with self._ended_lock:
            ended, self._ended = self._ended, []
        try:
            self._outbox.flush()
        except LogError:
            with self._ended_lock:
                self._ended = ended + self._ended
            raise
        self._reported += ended
        if self._outbox.all_written():
            for topic, offset in self._reported:
                self._bookmark.settle(topic, offset)
            self._reported = []

    def _flush_if_possible(self) -> None:
        try:
            self._flush()
        except LogError as error:
            logger.warning("not_reported", reason=str(error))

    def _save(self, every: int) -> None:
        now = self._clock()
        if 0 <= now - self._saved_at < every:
            return
        self._saved_at = now
        try:
            self._bookmark.save()
        except OSError as error:
            logger.warning("bookmark_not_saved", reason=str(error))

"""The decider: takes commands and reports, decides them, and commits what they led to.

One process, one member of the group of deciders, any number of partitions. A batch's facts and
its inputs' marks are appended to the partition's journal as one record batch: the commit. Only
then the state changes, and what follows from the facts is delivered: to partitions of this process
in memory, to all others by the outbox. See ``ownership`` for how a partition is taken over,
``draft`` for how a command is decided, ``refusals`` for what is refused.

Crash anywhere: what was committed is folded by the next owner, who goes on at its marks and
delivers once more what may not have arrived; receivers take each effect once.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from events import topics
from events.features import NotEnabled
from events.log.contract import (
    Commit,
    Fenced,
    Journal,
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    Polled,
    RecordTooLarge,
    Unstorable,
)
from events.log.pace import Pace
from events.log.records import Codec
from handlers.decider.budget import UNLIMITED, Budget
from handlers.decider.draft import Decided, Draft
from handlers.decider.inputs import from_overdue
from handlers.decider.intake import Intake
from handlers.decider.outbox import Outbox
from handlers.decider.owned import AGAIN_US, BATCH_MAX, Owned, Phase
from handlers.decider.ownership import Ownership
from handlers.decider.refusals import NotKept, keep
from handlers.decider.router import Router
from handlers.decider.snapshot import Snapshots
from handlers.decider.takeover import THREADS, Asking, Found
from handlers.decider.watcher import Unwatched, Watcher, log_failures

GROUP = "deciders"
"""One group for all domains: two processes can never own the same partition."""

BATCH_BYTES = 1 << 20
BATCH_US = 50_000
"""Bounds of one append beside ``BATCH_MAX``: what comes after them waits for the next."""

QUEUED_BYTES = 64 << 20
"""Inputs that wait in memory, beyond which they are read one by one."""

TURNS_MAX = 20
"""Batches that follow from each other before the topics are looked at again."""

SNAPSHOT_EVERY = 20_000
"""Records of a journal between two snapshots: about a second of folding."""

TRIES_MAX = 5
"""How often one command is tried whose append the log refuses, in a term that it let begin."""

COMMIT_S = 5.0
IDLE_S = 1.0
RETRY_S = 0.5
RELAY_ENDS_S = 5.0

logger = structlog.get_logger("decider")


def wall_clock() -> int:
    """Return now, in microseconds since 1970."""
    return time.time_ns() // 1000


class Decider:
    """Decides the commands of ``domains``. ``step`` is one turn of the loop; one thread's.

    ``handing_over``: effects for partitions of this process are decided without a way through the
    log. ``threaded``: the outbox and snapshots have threads of their own, which ``close`` ends.
    ``owner``: its name in the records that begin terms, by default the machine and the process.
    ``budget``: what breaks off decisions that take too long.
    """

    def __init__(
        self,
        log: Log,
        domains: Sequence[str],
        *,
        snapshots: Path | None = None,
        clock: Callable[[], int] = wall_clock,
        watcher: Watcher | None = None,
        codec: Codec | None = None,
        handing_over: bool = True,
        threaded: bool = True,
        owner: str = "",
        budget: Budget = UNLIMITED,
    ) -> None:
        self._log = log
        self._codec = codec or Codec()
        self._clock = clock
        self._budget = budget
        self._watcher = watcher or Unwatched()
        self._commands = {topics.commands(domain) for domain in domains}
        self._snapshots = Snapshots(snapshots, log.identity(), threaded=threaded)
        self._member = log.membership(GROUP, [t for d in domains for t in topics.inputs(d)])
        asking = Asking(THREADS, self._member.wake) if threaded else Asking()
        self._ownership = Ownership(
            log, self._codec, self._snapshots, self._ready, clock, owner, asking
        )
        self._outbox = Outbox(
            log,
            self._codec,
            appended=lambda target, offset: self._router.appended(target, offset),
            clock=time.monotonic if threaded else lambda: clock() / 1e6,
            threaded=threaded,
        )
        self._router = Router(self._ownership, self._outbox, handing_over=handing_over)
        self._pace = Pace() if threaded else Pace(0.0)
        self._intake = Intake(log, self._ownership, self._member, clock, threaded=threaded)
        self._failure: BaseException | None = None
        self._relay: threading.Thread | None = None
        if threaded:
            self._relay = threading.Thread(target=self._run_relay, name="outbox", daemon=True)
            self._relay.start()

    # ------------------------------------------------------------ the loop

    def step(self, wait_s: float = IDLE_S) -> int:
        """Wait for something to do, at most ``wait_s``, and do it; how many commands it was.

        Raises ``LogUnavailable`` when the log is away: nothing is lost, call again.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._pace.pause()
            polled = self._member.poll(self._patience(wait_s), self._room())
            self._follow_ownership(polled)
            # Before a term may begin: then inputs are read once more, from the marks on.
            self._intake.queue(polled)
            self._ownership.advance()
            decided = self._turns()
            self._pace.took(decided)
        except LogUnavailable:
            self._ownership.give_up()
            raise
        if self._relay is None:
            while self._outbox.step():
                pass
        self._save_some()
        return decided

    def states(self, domain: str, number: int, aggregate: str) -> dict[str, Any] | None:
        """From any thread: the states of one kind in a partition, a copy; None when it is not
        owned. The copy is taken in one step of the interpreter."""
        owned = self._ownership.owned.get((topics.commands(domain), number))
        if owned is None or not owned.deciding:
            return None
        return dict(owned.partition.states[aggregate])

    def troubles(self) -> list[str]:
        """From any thread: a sentence for each partition or receiver that waits, and why."""
        return [*self._ownership.troubles(), *self._outbox.troubles()]

    def unfolded(self) -> int:
        """From any thread: how many records of journals are to be folded before all partitions
        of this process decide."""
        return self._ownership.unfolded()

    def wake(self) -> None:
        """From any thread: let a waiting ``step`` return now."""
        self._member.wake()

    def close(self) -> None:
        """Deliver what is committed, save what is folded, hand the partitions over."""
        self._outbox.close()
        if self._relay is not None:
            self._relay.join(RELAY_ENDS_S)
        self._ownership.close()
        self._intake.close()
        self._member.close()  # first: another decider goes on while this one saves
        for owned in self._ownership.owned.values():
            if owned.deciding and owned.partition.offset > owned.saved:
                self._save(owned)
                self._snapshots.close()

    def _patience(self, wait_s: float) -> float:
        """How long nothing is due."""
        if self._ownership.busy or self._intake.ready or self._with_input():
            return 0.0
        now, stuck = self._clock(), self._outbox.stuck()
        moments = [self._ownership.next_attempt()]
        for owned in self._ownership.owned.values():
            if owned.deciding and (deadline := owned.partition.deadlines.next()) is not None:
                waits = owned.journal_key in stuck or owned.waits(now)
                moments.append(max(deadline, now + AGAIN_US) if waits else deadline)
        due = [moment for moment in moments if moment is not None]
        return max(0.0, min([wait_s, *((moment - now) / 1e6 for moment in due)]))

    def _room(self) -> int:
        """How many records are read at once; ``Intake`` bounds how many of each partition wait."""
        queued = sum(owned.queued_bytes for owned in self._ownership.owned.values())
        return 1 if queued > QUEUED_BYTES else 2 * BATCH_MAX

    def _with_input(self) -> list[Owned]:
        """The partitions in which something is to be decided now."""
        if self._outbox.full:
            return []
        now, stuck = self._clock(), self._outbox.stuck()
        return [
            owned
            for owned in self._ownership.owned.values()
            if owned.journal_key not in stuck and owned.has_input(now)
        ]

    # ----------------------------------------------------------- ownership

    def _follow_ownership(self, polled: Polled) -> None:
        for source in polled.revoked:
            if source[0] in self._commands:
                owned = self._ownership.lose(source)
                if owned is not None:
                    self._router.take_back(owned)
                    self._outbox.forget(owned.journal_key)
        self._ownership.gain(s for s in polled.assigned if s[0] in self._commands)
        if polled.assigned or polled.revoked:
            self._watcher.owns(len(self._ownership.owned))
            logger.info("ownership", gained=len(polled.assigned), lost=len(polled.revoked))

    def _ready(self, owned: Owned, found: Found) -> None:
        """A partition is folded up to its term: deliver what may not have been, read its inputs."""
        self._router.resume(owned, found)
        for source in owned.sources:
            offset = owned.partition.marks.inputs.get(source[0], 0)
            owned.polled[source[0]] = offset
            self._member.follow(source, offset)
        if owned.partition.offset - owned.saved >= SNAPSHOT_EVERY:
            self._save(owned)

    # ------------------------------------------------------------- deciding

    def _turns(self) -> int:
        decided = 0
        for _ in range(TURNS_MAX):
            if not (ready := self._with_input()):
                break
            decided += self._turn(ready)
        return decided

    def _turn(self, ready: Sequence[Owned]) -> int:
        """Decide and commit one batch of each of these; how many commands."""
        began = time.perf_counter()
        with self._budget:
            drafted = [(owned, self._drafted(owned)) for owned in ready]
        failures, drafts = keep(self._log, [draft for _, draft in drafted]), []
        for (owned, draft), failure in zip(drafted, failures, strict=True):
            if failure is not None:
                self._not_committed(owned, draft, failure)
            elif self._finished(owned, draft):
                drafts.append((owned, draft))
        outcomes = self._commit(drafts) if drafts else []
        decided = []
        for (owned, draft), outcome in zip(drafts, outcomes, strict=True):
            if isinstance(outcome, int):
                decided += self._committed(owned, draft, outcome)
            else:
                self._not_committed(owned, draft, outcome)
        if decided:
            self._watcher.batch(decided, time.perf_counter() - began)
        self._raise_if_away([*failures, *outcomes])
        return len(decided)

    def _commit(self, drafts: Sequence[tuple[Owned, Draft]]) -> Sequence[Commit]:
        """Append each draft to its journal."""
        appends: list[tuple[Journal, Sequence[Outgoing]]] = [
            (owned.journal, draft.records) for owned, draft in drafts if owned.journal is not None
        ]
        return self._log.commit(appends, COMMIT_S)

    def _drafted(self, owned: Owned) -> Draft:
        """What a partition's next inputs lead to."""
        now = self._clock()
        limits = (self._log.record_bytes_max, self._log.commit_bytes_max)
        draft = Draft(owned.partition, owned.effects, now, limits, self._budget)
        draft.offsets.update(owned.passed)
        for overdue in owned.partition.deadlines.overdue(draft.now, owned.passes(draft.clock)):
            envelope = owned.partition.in_flight.get(overdue.key)
            draft.decide(from_overdue(overdue, envelope, draft.now))
        last = now + BATCH_US
        while owned.queue and owned.held_until <= now and len(draft.inputs) < owned.batch_max:
            if draft.size_bytes > BATCH_BYTES or self._clock() > last:
                break
            item = owned.queue.popleft()
            if owned.refused.get(item.context.id, 0) >= TRIES_MAX:
                draft.fail(item, LogError("what it led to could not be written to the log"))
            else:
                try:
                    draft.decide(item)
                except NotEnabled as error:
                    owned.hold(item, now + AGAIN_US, str(error))
                    break
            owned.held = ""
        return draft

    def _finished(self, owned: Owned, draft: Draft) -> bool:
        """Complete a draft; False where there is nothing to commit."""
        waited = owned.waited(draft.clock)
        if draft.finish(*self._outbox.progress(owned.journal_key), waited):
            return True
        owned.passed = draft.offsets
        for item in draft.inputs:
            self._router.settle(item)
        return False

    def _committed(self, owned: Owned, draft: Draft, first: int) -> list[Decided]:
        owned.partition.take(draft, first)
        owned.passed = {}
        if draft.marks.waited is not None:
            owned.counted_at = draft.clock
        owned.batch_max = min(BATCH_MAX, owned.batch_max * 2)
        owned.refused.clear()
        owned.lost_terms = 0
        for item in draft.inputs:
            self._router.settle(item)
        effects = []
        for index, effect in draft.effects:
            effect.offset = first + index
            effects.append(effect)
        self._router.route(owned, effects)
        offset, marked = owned.partition.offset - 1, owned.partition.marks.delivered
        self._outbox.reached(owned.journal_key, offset, marked)
        log_failures(draft.decided)
        return [done for done in draft.decided if done.outcome != "repeated"]

    def _not_committed(self, owned: Owned, draft: Draft, error: LogError) -> None:
        """Nothing has changed in memory. Unless the journal goes on, its term is over, and what it
        holds is folded before anything else is decided. What followed from earlier facts is still
        to be delivered."""
        logger.warning(
            "not_committed",
            partition=owned.partition.source,
            commands=len(draft.inputs),
            reason=f"{type(error).__name__}: {error}",
        )
        if not isinstance(error, Fenced | LogUnavailable | NotKept):
            self._shrink(owned, draft)
        if isinstance(error, RecordTooLarge | Unstorable):
            owned.queue.extendleft(reversed([i for i in draft.inputs if i.place or i.effect]))
            return
        owned.queue.extendleft(reversed(draft.inputs))
        self._router.take_back(owned)
        reason = "" if isinstance(error, Fenced) else str(error)
        owned.wait(Phase.WAITING, self._clock() + owned.pause_after(error), reason)

    def _shrink(self, owned: Owned, draft: Draft) -> None:
        """A batch failed for a reason that may lie in it: halve it, down to the one command."""
        if len(draft.inputs) == 1:
            id = draft.inputs[0].context.id
            owned.refused[id] = owned.refused.get(id, 0) + 1
        owned.batch_max = max(1, min(owned.batch_max, len(draft.inputs)) // 2)

    def _raise_if_away(self, outcomes: Sequence[Commit | None]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, LogUnavailable):
                raise outcome

    # ------------------------------------------------------------ snapshots

    def _save_some(self) -> None:
        for owned in self._ownership.owned.values():
            if owned.deciding and owned.partition.offset - owned.saved >= SNAPSHOT_EVERY:
                self._save(owned)

    def _save(self, owned: Owned) -> None:
        """Save what is committed. Who has lost the partition meanwhile saves a state that is as
        true as it was; the record that proves it lies in the log."""
        if self._snapshots.kept and not self._snapshots.busy:
            owned.saved = owned.partition.offset
            gc.collect()
            gc.freeze()  # what stays is looked through once, see SLICE_RECORDS
            self._snapshots.save(owned.partition, self._outbox.unmarked(owned.journal_key))

    def _run_relay(self) -> None:
        """A relay that ends by a defect ends the decider."""
        try:
            self._outbox.run()
        except BaseException as error:
            self._failure = error
            self._member.wake()
            raise

"""The router: decides which way an effect takes, and takes back what was handed over in vain.

Between partitions of one process an effect is handed over in memory, without a way through the log.
The receiver remembers of each journal only the last effect that it took. So nothing may be handed
over while an older effect of that journal is on its way through the log, or lies there unread: it
would pass for taken. ``Owned.hand_over`` holds the offset that the receiver must have read. Nor may
one go through the log while an older one of its journal is handed over and not committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import structlog

from events.journal import Marked
from events.log.contract import Record, TopicPartition
from events.message import Command
from handlers.decider.effects import Effect
from handlers.decider.inputs import Input, from_effect
from handlers.decider.outbox import Outbox
from handlers.decider.owned import Owned
from handlers.decider.ownership import Ownership
from handlers.decider.partition import Folded, ForeignLog
from handlers.decider.refusals import answers_again
from handlers.decider.takeover import Found

logger = structlog.get_logger("decider")


class Router:
    """The effects of the partitions in ``ownership``. The loop's thread's, but for ``appended``.

    ``handing_over`` False: all effects go through the log.
    """

    def __init__(self, ownership: Ownership, outbox: Outbox, *, handing_over: bool) -> None:
        self._ownership = ownership
        self._outbox = outbox
        self._handing_over = handing_over

    def resume(self, owned: Owned, found: Found) -> None:
        """Deliver what, by a folded journal's marks, may not have been. Raises ``ForeignLog``,
        having changed nothing."""
        derived = [
            effect
            for one in owned.partition.undelivered
            for effect in _derived(owned, one, found.refusals)
        ]
        # Receivers of this process may have effects of an earlier owner of this journal unread.
        for commands, end in found.ends.items():
            if (receiver := self._ownership.owned.get(commands)) is not None:
                receiver.hand_over.wait_for(end)
        partition, marks = owned.partition, owned.partition.marks
        self._outbox.reached(owned.journal_key, partition.offset - 1, marks.delivered)
        saved = [
            effect
            for effect in partition.kept_effects
            if effect.offset > marks.delivered or effect.offset in marks.held
        ]
        partition.kept_effects = []
        partition.undelivered.clear()
        self._outbox.put(owned.journal_key, [*saved, *derived])

    def appended(self, target: TopicPartition, offset: int) -> None:
        """From the outbox's thread: an effect lies in the log now."""
        owned = self._ownership.owned.get(target)
        if owned is not None:
            owned.hand_over.wait_for(offset + 1)

    def take_back(self, owned: Owned) -> None:
        """Drop inputs that are not committed; what was handed over goes through the log instead."""
        for item in owned.queue:
            if item.effect is not None:
                self._send_by_log(item.effect)
        owned.queue.clear()
        owned.polled.clear()

    def route(self, owned: Owned, effects: Sequence[Effect]) -> None:
        """Hand over, within the process, what may be; send the rest."""
        sent: list[Effect] = []
        for effect in effects:
            receiver = self._receiver(owned, effect)
            if receiver is None or any(one.target == effect.target for one in sent):
                sent.append(effect)
            else:
                self._outbox.hand_over(owned.journal_key, effect)
                receiver.queue.append(from_effect(effect))
        self._outbox.put(owned.journal_key, sent)

    def settle(self, item: Input) -> None:
        """An input was taken; if it was handed over, it is delivered by that."""
        if item.effect is not None:
            self._outbox.settle(journal_of(item.effect), item.effect)

    def _receiver(self, owned: Owned, effect: Effect) -> Owned | None:
        if not self._handing_over or not isinstance(effect.message, Command):
            return None
        receiver = self._ownership.owned.get(effect.target)
        if receiver is None or not receiver.deciding:
            return None
        if self._outbox.handed(owned.journal_key, effect.target):
            return receiver  # else it would overtake what is handed over and not yet committed
        start = receiver.hand_over.start
        if start is None or receiver.polled.get(effect.target[0], -1) < start:
            return None
        return None if self._outbox.waits(owned.journal_key, effect.target) else receiver

    def _send_by_log(self, effect: Effect) -> None:
        topic, number = journal_of(effect)
        sender = self._ownership.owned.get((topic.replace(".events", ".commands"), number))
        # Also one whose term has ended as well: what it committed itself it does not derive again.
        if sender is not None:
            self._outbox.put_again((topic, number), effect)


def _derived(owned: Owned, folded: Folded, kept: dict[int, Record]) -> list[Effect]:
    """What follows from a record that was folded, once more. ``kept``: refusals by offset.

    Raises ``ForeignLog``: nobody else sends what follows from a fact, so it waits for a version
    that can tell it. Who asked something gives up by himself.
    """
    try:
        found = list(_following(owned, folded, kept))
    except Exception as error:
        if isinstance(folded.message, Marked):
            logger.exception("effects_lost", partition=owned.partition.source, offset=folded.offset)
            return []
        raise ForeignLog(
            f"{owned.partition.topic}/{owned.number}@{folded.offset}"
            f" ({folded.message.type_name}): what follows from it cannot be told:"
            f" {type(error).__name__}: {error}"
        ) from error
    for effect in found:
        effect.offset = folded.offset
    return found


def _following(owned: Owned, folded: Folded, kept: dict[int, Record]) -> Iterator[Effect]:
    envelope, message = folded.envelope, folded.message
    if isinstance(message, Marked):
        yield from (owned.effects.answer(a, envelope) for a in message.answers if a.reply_to)
        yield from answers_again(message, kept, owned.partition.codec, owned.effects)
        return
    yield from owned.effects.of(message, folded.state, envelope)
    command = msgspec.structs.replace(envelope, id=envelope.causation_id, causation_id="")
    reply = owned.effects.reply(message, command, folded.position)
    if reply is not None:
        yield reply


def journal_of(effect: Effect) -> TopicPartition:
    """Return the journal that an effect follows from."""
    _, _, topic, number = effect.source.split("/")
    return (topic, int(number))

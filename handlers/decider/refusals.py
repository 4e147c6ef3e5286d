"""Refusals: commands that were refused, in a topic that may be cut (``<domain>.refusals``).

A refusal changes nothing, so the journal need not hold it for ever. It is appended to the topic
of refusals before the batch is committed; the journal's mark then names its place. One that no
mark names, because the decider ended between the two, does not count: its command is decided once
more. A later owner reads back those whose senders may not have been told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from commands.decision import DECIDERS, Refusal
from events import topics
from events.bounds import printable
from events.journal import Marked
from events.log.contract import (
    Log,
    LogError,
    LogUnavailable,
    Outgoing,
    Record,
    RecordTooLarge,
    TopicPartition,
    Unstorable,
)
from events.log.records import ENVELOPE_CHARS_MAX, Codec, context_of, headers
from events.message import Command
from events.outcome import CommandRefused
from handlers.decider.effects import Effect, Effects
from handlers.decider.inputs import Input

if TYPE_CHECKING:
    from handlers.decider.draft import Draft
    from handlers.decider.partition import Folded, Partition

APPEND_S = 5.0
READ_S = 5.0


class NotKept(LogError):
    """Refusals could not be written, for a reason that does not lie in them: no such topic, say."""


def refusal_of(
    base: Partition, item: Input, command: Command, refusal: Refusal, now: int
) -> tuple[CommandRefused, Outgoing]:
    """Return what is recorded of a refused command, and its record."""
    command_id = item.context.id
    event = CommandRefused(
        at=now,
        command_id=command_id,
        command=command.type_name,
        status=refusal.status,
        code=refusal.code,
        detail=refusal.detail,
        target=_target(command),
    )
    topic = topics.refusals(base.domain)
    id = f"{topic}/{base.number}/{command_id}"[:ENVELOPE_CHARS_MAX]
    envelope = item.context.follow(id, command_id, now)
    made = headers(envelope, event.type_name, base.source, f"command/{command_id}")
    if item.context.reply_to:
        made["ce_replyto"] = item.context.reply_to
    return event, Outgoing(topic, command_id, base.codec.encode(event), made, base.number)


def keep(log: Log, drafts: Sequence[Draft]) -> list[LogError | None]:
    """Append what was refused in ``drafts``, and tell each where its refusals lie; for each, in
    order, why that could not be. One that cannot be written does not hold back the others'."""
    asked = [draft for draft in drafts if draft.refusals]
    error = _kept(log, asked) if asked else None
    if error is None:
        return [None] * len(drafts)
    if isinstance(error, LogUnavailable) or len(asked) == 1:
        return [error if draft.refusals else None for draft in drafts]
    return [_kept(log, [draft]) if draft.refusals else None for draft in drafts]


def _kept(log: Log, drafts: Sequence[Draft]) -> LogError | None:
    try:
        offsets = iter(log.append([out for draft in drafts for out in draft.refusals], APPEND_S))
    except (LogUnavailable, RecordTooLarge, Unstorable) as error:
        return error
    except LogError as error:
        return NotKept(str(error))
    for draft in drafts:
        draft.refused_at = [next(offsets) for _ in draft.refusals]
    return None


def read_back(log: Log, domain: str, number: int, folded: Iterable[Folded]) -> dict[int, Record]:
    """Return, by their offsets, the refusals that marks name and that are still kept. Raises
    ``LogError``."""
    wanted = {
        refused.offset
        for one in folded
        if isinstance(one.message, Marked)
        for refused in one.message.refused
    }
    if not wanted:
        return {}
    source: TopicPartition = (topics.refusals(domain), number)
    first = log.offset_at(source, 0)
    if first is None:
        return {}
    reader = log.reader({source: max(first, min(wanted))})
    found: dict[int, Record] = {}
    try:
        end = min(max(wanted) + 1, reader.ends()[source])
        until = time.monotonic() + READ_S
        while reader.positions()[source] < end:
            if time.monotonic() > until:
                raise LogUnavailable(f"{source[0]}/{number} could not be read in time")
            found |= {one.offset: one for one in reader.poll(0.2) if one.offset in wanted}
    finally:
        reader.close()
    return found


def answers_again(
    marked: Marked, kept: dict[int, Record], codec: Codec, effects: Effects
) -> Iterator[Effect]:
    """Yield the answers to the refused commands that a mark names, once more."""
    for refused in marked.refused:
        record = kept.get(refused.offset)
        if record is None:
            continue  # cut: who asked has long given up
        event, envelope = codec.decode(record.value), context_of(record)
        assert isinstance(event, CommandRefused)
        command = msgspec.structs.replace(envelope, id=refused.command_id, causation_id="")
        if (reply := effects.reply(event, command, 0)) is not None:
            yield reply


def _target(command: Command) -> str:
    """Return kind and id of what a command is about, empty where it is about no one thing."""
    decider = DECIDERS[command.type_name]
    if decider.aggregate is None or decider.key is None:
        return ""
    return printable(f"{decider.aggregate}/{getattr(command, decider.key)}")

"""Effects: what follows from a committed fact, on its way to where it is to be taken.

An effect is a function of the fact and of the state after it, so it need not be written with
the fact: the owner delivers it after the commit, and a new owner derives it once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from commands.work import name_work
from events import topics
from events.journal import Answer
from events.log.contract import Outgoing, TopicPartition, partition_of
from events.log.records import Codec, headers
from events.message import Context, Event, Message, Work
from events.outcome import CommandFailed, CommandRefused, Reply
from handlers.decider.marks import follow_id
from handlers.reaction import Dispatch, Send, follows_of

FAILURE = (500, "computeFault", "The request could not be decided.")
"""Status, code and sentence for the sender of a command that could not be decided."""


class Effect(msgspec.Struct, eq=False):
    """A message for a partition of another topic."""

    target: TopicPartition
    key: str
    message: Message
    context: Context
    source: str
    """The journal that it follows from, as records name it: ``/chronova/compute.events/3``."""
    offset: int = -1
    """The offset of the fact in its journal, once that is committed."""

    def record(self, codec: Codec) -> Outgoing:
        """Return the record to be written."""
        made = headers(self.context, self.message.type_name, self.source)
        if isinstance(self.message, Work):
            name_work(made, self.message)
        value = codec.encode(self.message)
        return Outgoing(self.target[0], self.key, value, made, self.target[1])


class Effects:
    """Makes the effects of one journal's facts. ``partitions`` counts those of a topic."""

    def __init__(self, topic: str, number: int, partitions: Callable[[str], int]) -> None:
        self._topic = topic
        self._number = number
        self._partitions = partitions
        self._source = f"/chronova/{topic}/{number}"

    def of(self, event: Event, state: Any, envelope: Context) -> Iterator[Effect]:
        """Yield what follows from a fact; ``state`` is its subject's after it."""
        for index, follow in enumerate(follows_of(event, state)):
            context = envelope.follow(follow_id(envelope.id, index), envelope.id, envelope.time)
            yield self._followed(follow, context)

    def reply(self, event: Event, command: Context, position: int) -> Effect | None:
        """Return the answer to the command that ended with this fact, if one is wanted."""
        if not command.reply_to:
            return None
        status, code, detail = outcome_of(event)
        return self.answer(
            Answer(
                command_id=command.id,
                reply_to=command.reply_to,
                status=status,
                code=code,
                detail=detail,
                position=position,
            ),
            command,
        )

    def answer(self, answer: Answer, command: Context) -> Effect:
        """Return the record for the sender of a command."""
        reply = Reply(
            command_id=answer.command_id,
            status=answer.status,
            code=answer.code,
            detail=answer.detail,
            topic=self._topic,
            partition=self._number,
            position=answer.position,
        )
        context = command.follow(f"reply:{answer.command_id}", answer.command_id, command.time)
        target = (topics.REPLIES, int(answer.reply_to))
        return Effect(target, answer.command_id, reply, context, self._source)

    def _followed(self, follow: Send | Dispatch, context: Context) -> Effect:
        if isinstance(follow, Send):
            topic = topics.commands(follow.command.type_domain)
            target = (topic, partition_of(follow.key, self._partitions(topic)))
            return Effect(target, follow.key, follow.command, context, self._source)
        target = (topics.dispatch(follow.host), 0)
        return Effect(target, follow.host, follow.work, context, self._source)


def outcome_of(event: Event) -> tuple[int, str, str]:
    """Return status, code and sentence for the sender whose command ended with this fact."""
    if isinstance(event, CommandRefused):
        return event.status, event.code, event.detail
    return FAILURE if isinstance(event, CommandFailed) else (0, "", "")

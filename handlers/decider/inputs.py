"""What a decider takes: records of its topics, and what other partitions hand over in memory."""

from __future__ import annotations

import msgspec

from events import host_proof, topics
from events.bounds import printable
from events.log.contract import Record
from events.log.records import BadRecord, Codec, context_of
from events.message import Command, Context
from handlers.decider.deadlines import Overdue
from handlers.decider.effects import Effect
from handlers.decider.marks import Followed, origin_of


class Input(msgspec.Struct, eq=False):
    """A command to be decided, and how it came."""

    context: Context
    type_name: str
    command: Command | None = None
    """None: ``value`` has to be read first."""
    value: bytes = b""
    report: Record | None = None
    """Its record, where a host sent it."""
    place: tuple[str, int] | None = None
    """The input topic, and the offset behind its record there."""
    origin: tuple[str, Followed] | None = None
    effect: Effect | None = None
    """What another partition of this process handed over: delivered when this is committed."""
    strange: str = ""
    """Why it cannot be what it says that it is."""
    since: int = 0
    """When the log took its record (microseconds), 0 if it has none."""

    @property
    def from_client(self) -> bool:
        """Whether a client sent it, who can be told that it is refused, and send it again."""
        return self.place is not None and self.origin is None and not self.reported

    @property
    def reported(self) -> bool:
        """Whether a host sent it."""
        return self.report is not None

    def read(self, domain: str, codec: Codec) -> Command:
        """Return the command. Raises ``BadRecord``, ``events.host_proof.Unproved`` and what
        decoding raises."""
        if self.strange:
            raise BadRecord(self.strange)
        message = self.command or codec.decode(self.value)
        if not isinstance(message, Command) or message.type_domain != domain:
            raise BadRecord(f"{self.type_name} is not a command of {domain}")
        if self.report is not None:
            if not message.from_hosts:
                raise BadRecord(f"{self.type_name} is not for a host to send")
            host_proof.SITE.check(self.report, message)
        return message


def from_record(record: Record, domain: str, now: int) -> Input:
    """Return the input that a record of a domain's topics is."""
    type_name = printable(record.headers.get("ce_type", "?").removeprefix("chronova."))
    reported = record.topic == topics.reports(domain)
    context = envelope_of(record, now, type_name, reported)
    return Input(
        context=context,
        type_name=type_name,
        value=record.value,
        report=record if reported else None,
        place=(record.topic, record.offset + 1),
        origin=None if reported else origin_of(context.id),
        since=record.timestamp,
    )


def from_effect(effect: Effect) -> Input:
    """Return the input that an effect of another partition is, when it is handed over."""
    command = effect.message
    assert isinstance(command, Command)
    return Input(
        context=effect.context,
        type_name=command.type_name,
        command=command,
        origin=origin_of(effect.context.id),
        effect=effect,
    )


def from_overdue(overdue: Overdue, envelope: Context | None, now: int) -> Input:
    """Return the input that ends what is overdue, in the request that asked for it."""
    context = Context(id=overdue.id, time=now)
    if envelope is not None:
        context = envelope.follow(overdue.id, envelope.id, now)
    return Input(context=context, type_name=overdue.command.type_name, command=overdue.command)


def envelope_of(record: Record, now: int, type_name: str, reported: bool) -> Context:
    """Return the envelope of a record; for one that cannot be used, one that says only its place.

    A host gets no answer, and its ids cannot be those of others' commands, which would pass for
    decided then: they end in the report's name.
    """
    try:
        context = context_of(record)
        if not reported:
            return context
        if context.id.endswith(f":{type_name}"):
            return msgspec.structs.replace(context, reply_to="")
    except BadRecord:
        pass
    return Context(id=f"{record.topic}/{record.partition}@{record.offset}", time=now)

"""Control records: what lies in a journal beside its events.

A journal (``<domain>.events/p``) belongs to one owner at a time. ``TermBegan`` says that an owner
took it over, ``Marked`` what an owner answered without an event, or refused. Neither is an event:
they have no position and no sequence, and change no aggregate. The hash chain covers them
(``events.log.records.control_hash``). Which records count is said by ``events.log.terms``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.message import Instant, Large, Message
from events.outcome import Code, CommandId, Detail


class TermBegan(Message, frozen=True, kw_only=True):
    """An owner took the journal over. The offset of this record is the number of its term."""

    at: Instant
    owner: Annotated[str, "Host name and process id of the owner."]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender of one command is told."""

    command_id: CommandId
    reply_to: Annotated[str, "Partition of the replies topic that the answer goes to."]
    status: Annotated[int, "0 when accepted, else the HTTP status of the refusal."] = 0
    code: Code = ""
    detail: Detail = ""
    position: Annotated[
        Large, "Position (ce_position) a projection must have reached to show the decision."
    ] = 0


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Where the record of one refused command lies, as long as it is kept."""

    command_id: CommandId
    offset: Annotated[Large, "Offset in the topic <domain>.refusals, in the journal's partition."]


class Marked(Message, frozen=True, kw_only=True):
    """Commands were answered without an event; the header ce_marks says how far inputs were
    taken."""

    at: Instant
    answers: Annotated[list[Answer], "The answers, in the order of the commands."] = []
    refused: Annotated[list[Refused], "The refused commands, in their order."] = []

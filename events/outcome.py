"""How commands ended, where no aggregate's own event says it, and the answers to senders.

A refusal is recorded as well: an audit wants to see it. It changes no aggregate; its subject is
the command itself. It lies beside the journal, in a topic that may be cut.
"""

from __future__ import annotations

from typing import Annotated

from events.message import Event, Key, Large, Message, Text

CommandId = Annotated[Text, "Id of the command's record."]
CommandName = Annotated[Text, "Message name of the command, e.g. compute.StopServer."]
Status = Annotated[int, "HTTP status of the refusal."]
Code = Annotated[str, "The field's error code, e.g. conflictingRequest."]
Detail = Annotated[Text, "One sentence for the caller."]


class CommandRefused(Event, frozen=True, kw_only=True):
    """A command was refused; nothing changed."""

    command_id: CommandId
    command: CommandName
    status: Status
    code: Code
    detail: Detail
    target: Annotated[Key, "Kind and id of what the command was about, e.g. server/<uuid>."] = ""


class CommandFailed(Event, frozen=True, kw_only=True):
    """Deciding a command raised an error: a defect in Chronova; nothing changed."""

    command_id: CommandId
    command: CommandName
    reason: Annotated[Text, "Class and text of the error."]
    traceback_sha256: Annotated[str, "Hash of the traceback, to find it in the decider's log."]


class Reply(Message, frozen=True, kw_only=True):
    """The answer to a command, for its sender only."""

    command_id: CommandId
    status: Annotated[int, "0 when accepted, else the HTTP status of the refusal."] = 0
    code: Code = ""
    detail: Detail = ""
    topic: Annotated[str, "Topic of the events that the decision wrote."] = ""
    partition: Annotated[int, "Partition of that topic."] = 0
    position: Annotated[
        Large, "Position (ce_position) a projection must have reached to show the decision."
    ] = 0

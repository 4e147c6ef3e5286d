"""Replace a server's tags. Adding or removing one is replacing all with one more or less."""

from __future__ import annotations

from typing import Annotated

from commands.compute.checks import in_state, not_found
from commands.decision import Decision, accept, decides, refuse
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Command, ServerId

VM_STATES = ("active", "paused", "suspended", "stopped")
TAGS_MAX = 50


class ReplaceTags(Command, frozen=True, kw_only=True):
    """These are all tags from now on."""

    server_id: ServerId
    tags: Annotated[list[str], "All tags."]


class AddTag(Command, frozen=True, kw_only=True):
    """Add one tag."""

    server_id: ServerId
    tag: Annotated[str, "The tag."]


class RemoveTag(Command, frozen=True, kw_only=True):
    """Remove one tag."""

    server_id: ServerId
    tag: Annotated[str, "The tag."]


@decides(ReplaceTags, "server", key="server_id")
def replace_tags(server: Server | None, command: ReplaceTags, at: int) -> Decision:
    """200, 404 or 409."""
    if server is None:
        return not_found(command.server_id)
    return _changed(server, list(dict.fromkeys(command.tags)), at)


@decides(AddTag, "server", key="server_id")
def add_tag(server: Server | None, command: AddTag, at: int) -> Decision:
    """201, 204, 400 (too many), 404 or 409."""
    if server is None:
        return not_found(command.server_id)
    return _changed(server, list(dict.fromkeys([*server.tags, command.tag])), at)


@decides(RemoveTag, "server", key="server_id")
def remove_tag(server: Server | None, command: RemoveTag, at: int) -> Decision:
    """204, 404 or 409."""
    if server is None:
        return not_found(command.server_id)
    if command.tag not in server.tags:
        return refuse(404, "itemNotFound", f"Server {server.server_id} has no tag '{command.tag}'")
    return _changed(server, [t for t in server.tags if t != command.tag], at)


def _changed(server: Server, tags: list[str], at: int) -> Decision:
    refused = in_state(server, "update tags", VM_STATES, task_states=None, launched=False)
    if refused is not None:
        return refused
    if len(tags) > TAGS_MAX:
        return refuse(
            400, "badRequest", f"The number of tags exceeded the per-server limit {TAGS_MAX}"
        )
    if tags == server.tags:
        return accept()
    return accept(f.TagsChanged(at=at, server_id=server.server_id, tags=tags))

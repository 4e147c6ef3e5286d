"""Change a server's metadata: all of it, some of it, or one item away."""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.compute.checks import in_state, locked, not_found
from commands.compute.power import Admin
from commands.decision import Decision, View, accept, decides_on_view, refuse
from events.compute.server import Server
from events.compute.server import facts as f
from events.message import Command, ServerId

VM_STATES = ("active", "paused", "suspended", "stopped")

Metadata = Annotated[dict[str, str], "Metadata items."]


class ReplaceMetadata(Command, frozen=True, kw_only=True):
    """These are all items from now on."""

    server_id: ServerId
    metadata: Metadata
    admin: Admin = False


class MergeMetadata(Command, frozen=True, kw_only=True):
    """Add or change these items."""

    server_id: ServerId
    metadata: Metadata
    admin: Admin = False


class DeleteMetadataItem(Command, frozen=True, kw_only=True):
    """Remove one item."""

    server_id: ServerId
    key: Annotated[str, "Name of the item."]
    admin: Admin = False


@decides_on_view(ReplaceMetadata)
def replace_all(view: View, command: ReplaceMetadata, at: int) -> Decision:
    """200, 403 (quota), 404 or 409."""
    server: Server | None = view.get("server", command.server_id)
    if server is None:
        return not_found(command.server_id)
    return _changed(view, server, command.admin, dict(command.metadata), at)


@decides_on_view(MergeMetadata)
def merge(view: View, command: MergeMetadata, at: int) -> Decision:
    """200, 403 (quota), 404 or 409."""
    server: Server | None = view.get("server", command.server_id)
    if server is None:
        return not_found(command.server_id)
    return _changed(view, server, command.admin, server.metadata | command.metadata, at)


@decides_on_view(DeleteMetadataItem)
def delete_item(view: View, command: DeleteMetadataItem, at: int) -> Decision:
    """204, 404 or 409."""
    server: Server | None = view.get("server", command.server_id)
    if server is None:
        return not_found(command.server_id)
    if command.key not in server.metadata:
        return refuse(404, "itemNotFound", "Metadata item was not found")
    kept = {k: v for k, v in server.metadata.items() if k != command.key}
    return _changed(view, server, command.admin, kept, at)


def _changed(
    view: View, server: Server, admin: bool, metadata: dict[str, str], at: int
) -> Decision:
    refused = locked(server, admin) or in_state(
        server, "update metadata", VM_STATES, task_states=None, launched=False
    )
    if refused is not None:
        return refused
    project = view.get("project", server.project_id)
    own = project.limits if project is not None else {}
    limit = own.get("metadata_items", limits.QUOTAS["metadata_items"])
    if 0 <= limit < len(metadata):
        return refuse(
            403, "forbidden", f"Maximum number of metadata items exceeds {limit} in the request"
        )
    if metadata == server.metadata:
        return accept()
    return accept(f.MetadataChanged(at=at, server_id=server.server_id, metadata=metadata))

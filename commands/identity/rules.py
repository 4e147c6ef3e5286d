"""What several identity decisions share: partial changes, refusals, what goes with what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from commands.decision import Decision, View, refuse
from events.bounds import TEXT
from events.identity.application_credential import ApplicationCredentialDeleted
from events.identity.assignment import RoleRevoked
from events.message import Event


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A new value of a text that may be null."""

    value: Annotated[str | None, TEXT, "The value; null clears it."] = None


class Map(msgspec.Struct, frozen=True, kw_only=True):
    """A new value of a map, whole."""

    values: Annotated[dict[str, str], "JSON text by name."]


NewText = Annotated[Text | None, "The new value; null leaves the old one."]
NewName = Annotated[str | None, "The new name; null leaves the old one."]
NewFlag = Annotated[bool | None, "The new value; null leaves the old one."]
NewMap = Annotated[Map | None, "The new values, whole; null leaves the old ones."]


def chosen(new: Any, old: Any) -> Any:
    """The value after a partial change: the old one where nothing new is given."""
    if new is None:
        return old
    if isinstance(new, Text):
        return new.value
    if isinstance(new, Map):
        return new.values
    return new


def not_found(kind: str, id: str) -> Decision:
    """404 in Keystone's words."""
    return refuse(404, "NotFound", f"Could not find {kind}: {id}.")


def conflict(kind: str, detail: str) -> Decision:
    """409 in Keystone's words."""
    return refuse(409, "Conflict", f"Conflict occurred attempting to store {kind} - {detail}.")


def forbidden(detail: str) -> Decision:
    """403 for a reason that is not the caller's roles."""
    return refuse(403, "Forbidden", detail)


def immutable(kind: str, id: str) -> Decision:
    """403 for a thing that is protected against changes."""
    return forbidden(
        f"Cannot modify or delete the immutable {kind} {id}: set options.immutable to false first."
    )


def name_taken(view: View, aggregate: str, name: str, **alike: str | None) -> bool:
    """Whether one of that kind, with these attributes, has the name."""
    return any(
        state.name == name and all(getattr(state, key) == value for key, value in alike.items())
        for state in view.all(aggregate).values()
    )


def revocations(view: View, at: int, **alike: str) -> Iterator[Event]:
    """Every assignment in this partition with these attributes ends."""
    for id, held in view.all("assignment").items():
        if all(getattr(held, key) == value for key, value in alike.items()):
            yield RoleRevoked(assignment_id=id, at=at)


def credential_deletions(view: View, at: int, **alike: str) -> Iterator[Event]:
    """Every application credential in this partition with these attributes ends."""
    for id, credential in view.all("application_credential").items():
        if all(getattr(credential, key) == value for key, value in alike.items()):
            yield ApplicationCredentialDeleted(credential_id=id, at=at)

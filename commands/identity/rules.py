"""What several identity decisions share: partial changes, refusals, what goes with what."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Annotated, Any, Literal

import msgspec

from commands.decision import Decision, View, refuse
from commands.lookup import lookup
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


OWNER: dict[str, Callable[[Any], str | None]] = {
    "user": lambda user: user.domain_id,
    "group": lambda group: group.domain_id,
    "tenant": lambda project: project.domain_id,
    "role": lambda role: role.domain_id,
    "domain": lambda domain: None,
    "application_credential": lambda credential: credential.user_id,
}
"""What the names of each kind are unique in: the id of a domain or a user, None for the cloud."""


def _by_name(aggregate: str) -> Callable[[View, Hashable], list[str]]:
    owner = OWNER[aggregate]
    return lookup(f"{aggregate}.by_name", aggregate, lambda state: ((owner(state), state.name),))


_named = {aggregate: _by_name(aggregate) for aggregate in OWNER}
_in_domain = {
    aggregate: lookup(f"{aggregate}.by_domain", aggregate, lambda state: (state.domain_id,))
    for aggregate in ("user", "group", "tenant")
}
_assignments = lookup(
    "assignment.by_part",
    "assignment",
    lambda held: (
        (held.actor, held.actor_id),
        (held.target, held.target_id),
        ("role", held.role_id),
    ),
)
_credentials = lookup(
    "application_credential.by_part",
    "application_credential",
    lambda credential: (
        ("user", credential.user_id),
        ("project", credential.project_id),
        ("user on project", (credential.user_id, credential.project_id)),
    ),
)


def with_name(view: View, aggregate: str, name: str, owner: str | None) -> str | None:
    """The id of the one of that kind that has the name; None when there is none. ``owner``: as
    in ``OWNER``."""
    return next(iter(_named[aggregate](view, (owner, name))), None)


def name_taken(view: View, aggregate: str, name: str, owner: str | None) -> bool:
    """Whether one of that kind has the name."""
    return with_name(view, aggregate, name, owner) is not None


def in_domain(view: View, aggregate: str, domain_id: str) -> list[str]:
    """The ids of a domain's users, groups or projects."""
    return _in_domain[aggregate](view, domain_id)


Part = Literal["user", "group", "project", "domain", "role"]


def revocations(view: View, at: int, part: Part, id: str) -> Iterator[Event]:
    """Every assignment in this partition to, on or of this ends."""
    for assignment in _assignments(view, (part, id)):
        yield RoleRevoked(assignment_id=assignment, at=at)


def credential_deletions(
    view: View, at: int, part: Literal["user", "project"], id: str
) -> Iterator[Event]:
    """Every application credential in this partition of this user or project ends."""
    yield from _ended(view, at, (part, id))


def credential_deletions_on(view: View, at: int, user_id: str, project_id: str) -> Iterator[Event]:
    """Every application credential in this partition of this user on this project ends."""
    yield from _ended(view, at, ("user on project", (user_id, project_id)))


def _ended(view: View, at: int, key: Hashable) -> Iterator[Event]:
    for credential in _credentials(view, key):
        yield ApplicationCredentialDeleted(credential_id=credential, at=at)

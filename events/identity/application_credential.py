"""Application credentials: a user's roles on one project, for a program.

Partition key: the user's domain. Of a secret only its Argon2id hash is known here.
"""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import Description, PasswordHash
from events.message import MOMENT, Event, ProjectId, UserId

CredentialId = Annotated[str, "Id of the application credential: 32 hex digits."]


class ApplicationCredentialCreated(Event, frozen=True, kw_only=True):
    """A program may authenticate with it from now on."""

    folds = (("application_credential", "credential_id"),)
    credential_id: CredentialId
    user_id: UserId
    project_id: ProjectId
    credential_name: Annotated[str, "Name, unique among the user's."]
    secret_hash: PasswordHash
    role_ids: Annotated[list[str], "Ids of the roles it gives, as far as the user has them."]
    description: Description = None
    unrestricted: Annotated[bool, "Whether it may make and delete others of its kind."] = False
    expires_at: Annotated[int | None, MOMENT, "Moment (microseconds) of its end; null: never."] = (
        None
    )


class ApplicationCredentialDeleted(Event, frozen=True, kw_only=True):
    """It is gone; tokens made with it are invalid."""

    folds = (("application_credential", "credential_id"),)
    credential_id: CredentialId


ApplicationCredentialEvent = ApplicationCredentialCreated | ApplicationCredentialDeleted


class ApplicationCredential(msgspec.Struct, frozen=True, kw_only=True):
    """An application credential. It never changes."""

    credential_id: str
    user_id: str
    project_id: str
    name: str
    secret_hash: str
    role_ids: list[str]
    description: str | None = None
    unrestricted: bool = False
    expires_at: int | None = None
    deleted: bool = False


@begun_by(ApplicationCredentialCreated)
def evolve(
    credential: ApplicationCredential, event: ApplicationCredentialEvent
) -> ApplicationCredential:
    """The credential after ``event``."""
    change: dict[str, Any]
    match event:
        case ApplicationCredentialCreated():
            return ApplicationCredential(
                credential_id=event.credential_id,
                user_id=event.user_id,
                project_id=event.project_id,
                name=event.credential_name,
                secret_hash=event.secret_hash,
                role_ids=event.role_ids,
                description=event.description,
                unrestricted=event.unrestricted,
                expires_at=event.expires_at,
            )
        case ApplicationCredentialDeleted():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(credential, **change)


register(
    Aggregate(
        "application_credential",
        "identity",
        ApplicationCredential,
        evolve,
        gone=lambda credential: credential.deleted,
    )
)

"""Create and delete application credentials. Partition key: the user's domain."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, View, accept, decides_on_view
from commands.identity.rules import conflict, name_taken, not_found
from events.identity.application_credential import (
    ApplicationCredentialCreated,
    ApplicationCredentialDeleted,
    CredentialId,
)
from events.identity.terms import Description, PasswordHash
from events.message import MOMENT, Command, ProjectId, UserId


class CreateApplicationCredential(Command, frozen=True, kw_only=True):
    """Let a program authenticate for a user on one project."""

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


class DeleteApplicationCredential(Command, frozen=True, kw_only=True):
    """End an application credential and the tokens made with it."""

    credential_id: CredentialId
    user_id: UserId


@decides_on_view(CreateApplicationCredential)
def create(view: View, command: CreateApplicationCredential, at: int) -> Decision:
    """Refused: unknown user, or the user has one of that name."""
    if view.get("user", command.user_id) is None:
        return not_found("user", command.user_id)
    if name_taken(view, "application_credential", command.credential_name, command.user_id):
        return conflict(
            "application_credential",
            f"Duplicate entry found with name {command.credential_name} for this user",
        )
    return accept(
        ApplicationCredentialCreated(
            credential_id=command.credential_id,
            user_id=command.user_id,
            project_id=command.project_id,
            credential_name=command.credential_name,
            secret_hash=command.secret_hash,
            role_ids=command.role_ids,
            description=command.description,
            unrestricted=command.unrestricted,
            expires_at=command.expires_at,
            at=at,
        )
    )


@decides_on_view(DeleteApplicationCredential)
def delete(view: View, command: DeleteApplicationCredential, at: int) -> Decision:
    """Refused: unknown, or another user's."""
    credential = view.get("application_credential", command.credential_id)
    if credential is None or credential.user_id != command.user_id:
        return not_found("Application Credential", command.credential_id)
    return accept(ApplicationCredentialDeleted(credential_id=command.credential_id, at=at))

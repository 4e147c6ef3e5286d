from __future__ import annotations

from typing import Any

from commands.identity.application_credential import (
    CreateApplicationCredential,
    DeleteApplicationCredential,
)
from events.identity.application_credential import (
    ApplicationCredentialCreated,
    ApplicationCredentialDeleted,
)
from tests.commands.identity.parts import AT, given, user


def create(**fields: Any) -> CreateApplicationCredential:
    made = {
        "credential_id": "c",
        "user_id": "u",
        "project_id": "p",
        "credential_name": "robot",
        "secret_hash": "h",
        "role_ids": ["r"],
    }
    return CreateApplicationCredential(**{**made, **fields})


def test_it_is_made_and_deleted_by_its_user() -> None:
    story = given(user()).when(create(expires_at=5))
    story.then(
        ApplicationCredentialCreated(
            credential_id="c",
            user_id="u",
            project_id="p",
            credential_name="robot",
            secret_hash="h",
            role_ids=["r"],
            expires_at=5,
            at=AT,
        )
    )
    story.when(DeleteApplicationCredential(credential_id="c", user_id="v")).refused(404)
    delete = DeleteApplicationCredential(credential_id="c", user_id="u")
    story.when(delete).then(ApplicationCredentialDeleted(credential_id="c", at=AT))
    story.when(delete).refused(404)


def test_names_are_unique_for_a_user() -> None:
    story = given(user("u", "ada"), user("v", "eve")).when(create())
    story.when(create(credential_id="d")).refused(409, "robot")
    story.when(create(credential_id="e", user_id="v")).happened(ApplicationCredentialCreated)
    story.when(create(credential_id="f", user_id="x")).refused(404)

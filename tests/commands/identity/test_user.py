from __future__ import annotations

from commands.identity.password import ChangePassword, RehashPassword
from commands.identity.rules import Map, Text
from commands.identity.user import ChangeUser, CreateUser, DeleteUser
from events.identity.application_credential import (
    ApplicationCredentialCreated,
    ApplicationCredentialDeleted,
)
from events.identity.assignment import RoleRevoked
from events.identity.group import UserAddedToGroup, UserRemovedFromGroup
from events.identity.user import (
    UserCreated,
    UserDeleted,
    UserDescribed,
    UserDisabled,
    UserEnabled,
    UserPasswordChanged,
    UserPasswordRehashed,
    UserRenamed,
)
from tests.commands.identity.parts import AT, given, granted, group, user


def test_a_user_is_made() -> None:
    command = CreateUser(user_id="u", domain_id="default", user_name="ada", password_hash="h")
    given().when(command).then(
        UserCreated(user_id="u", domain_id="default", user_name="ada", password_hash="h", at=AT)
    )


def test_a_name_is_taken_in_its_domain_only() -> None:
    story = given(user("v", "ada"))
    story.when(CreateUser(user_id="u", domain_id="default", user_name="ada")).refused(409, "ada")
    story.when(CreateUser(user_id="v", domain_id="d", user_name="eve")).refused(409, "Duplicate ID")
    story.when(CreateUser(user_id="u", domain_id="d", user_name="ada")).happened(UserCreated)


def test_changes() -> None:
    story = given(user(description="x", default_project_id="p"))
    change = ChangeUser(
        user_id="u",
        user_name="eve",
        description=Text(value=None),
        default_project_id=Text(value="q"),
        options=Map(values={"lock_password": "true"}),
        extra=Map(values={"email": '"e@example.org"'}),
        enabled=False,
    )
    story.when(change).then(
        UserRenamed(user_id="u", user_name="eve", at=AT),
        UserDescribed(
            user_id="u",
            description=None,
            default_project_id="q",
            options={"lock_password": "true"},
            extra={"email": '"e@example.org"'},
            at=AT,
        ),
        UserDisabled(user_id="u", at=AT),
    )
    story.when(change).nothing()
    assert story.state("user", "u").tokens_valid_from == AT
    story.when(ChangeUser(user_id="u", enabled=True)).then(UserEnabled(user_id="u", at=AT))


def test_refused_changes() -> None:
    story = given(user("u", "ada"), user("v", "eve"))
    story.when(ChangeUser(user_id="u", user_name="eve")).refused(409)
    story.when(ChangeUser(user_id="x", user_name="new")).refused(404, "Could not find user: x.")
    story.when(DeleteUser(user_id="x")).refused(404)


def test_setting_a_password_ends_tokens_even_if_it_is_the_same() -> None:
    story = given(user(password_hash="h"))
    story.when(ChangeUser(user_id="u", password_hash="h")).then(
        UserPasswordChanged(user_id="u", password_hash="h", at=AT)
    )
    assert story.state("user", "u").tokens_valid_from == AT


def test_the_own_password_changes_only_what_was_verified() -> None:
    story = given(user(password_hash="old"))
    change = ChangePassword(user_id="u", verified_hash="old", password_hash="new")
    story.when(change).then(UserPasswordChanged(user_id="u", password_hash="new", at=AT))
    story.when(change).refused(401)
    given().when(change).refused(404)


def test_a_renewed_hash_ends_no_tokens() -> None:
    story = given(user(password_hash="old"))
    rehash = RehashPassword(user_id="u", verified_hash="old", password_hash="new")
    story.when(rehash).then(UserPasswordRehashed(user_id="u", password_hash="new", at=AT))
    assert story.state("user", "u").tokens_valid_from == 0
    story.when(rehash).nothing()
    given().when(rehash).nothing()


def test_deleting_takes_what_is_the_users() -> None:
    credential = ApplicationCredentialCreated(
        credential_id="c",
        user_id="u",
        project_id="p",
        credential_name="robot",
        secret_hash="h",
        role_ids=[],
        at=1,
    )
    story = given(
        user("u", "ada"),
        user("v", "eve"),
        group("g"),
        UserAddedToGroup(group_id="g", user_id="u", at=1),
        UserAddedToGroup(group_id="g", user_id="v", at=1),
        credential,
        granted(actor_id="u"),
        granted(actor_id="v"),
    )
    story.when(DeleteUser(user_id="u")).then(
        RoleRevoked(assignment_id="project/p/user/u/r", at=AT),
        ApplicationCredentialDeleted(credential_id="c", at=AT),
        UserRemovedFromGroup(group_id="g", user_id="u", at=AT),
        UserDeleted(user_id="u", at=AT),
    )
    assert list(story.state("group", "g").members) == ["v"]

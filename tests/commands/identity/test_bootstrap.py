from __future__ import annotations

from collections import Counter
from typing import Any

from commands.identity.bootstrap import PROJECTS, ROLES, Bootstrap, BootstrapUser
from commands.identity.user import ChangeUser
from events.identity.assignment import RoleGranted
from events.identity.user import UserCreated, UserEnabled, UserPasswordChanged
from tests.commands.identity.parts import AT, given, project, role, user


def command(admin_hash: str = "h1", suffix: str = "", **fields: Any) -> Bootstrap:
    made: dict[str, Any] = {
        "admin": BootstrapUser(
            user_id=f"admin-id{suffix}", user_name="admin", password_hash=admin_hash
        ),
        "demo": BootstrapUser(user_id=f"demo-id{suffix}", user_name="demo", password_hash="h2"),
        "role_ids": {name: f"{name}-role{suffix}" for name in ROLES},
        "project_ids": {name: f"{name}-project{suffix}" for name in PROJECTS},
    }
    return Bootstrap(**{**made, **fields})


def test_all_of_it() -> None:
    story = given().when(command())
    assert Counter(type(fact).__name__ for fact in story.facts) == {
        "DomainCreated": 1,
        "ProjectCreated": 3,
        "RoleCreated": 5,
        "RoleImplied": 3,
        "UserCreated": 2,
        "RoleGranted": 4,
    }
    grants = [fact.assignment_id for fact in story.facts if isinstance(fact, RoleGranted)]
    assert grants == [
        "project/admin-project/user/admin-id/admin-role",
        "domain/default/user/admin-id/admin-role",
        "system/all/user/admin-id/admin-role",
        "project/demo-project/user/demo-id/member-role",
    ]
    assert story.state("domain", "default").name == "Default"
    assert all(story.state("role", f"{name}-role").immutable for name in ROLES)
    assert story.state("role", "admin-role").implies == ("manager-role",)


def test_twice_changes_nothing_whatever_ids_are_given() -> None:
    story = given().when(command())
    story.when(command()).nothing()
    story.when(command(suffix="-other")).nothing()


def test_another_admin_password_is_the_password_from_then_on() -> None:
    story = given().when(command())
    story.when(command("h9", suffix="-other")).then(
        UserPasswordChanged(user_id="admin-id", password_hash="h9", at=AT)
    )
    assert story.state("user", "admin-id").tokens_valid_from == AT


def test_other_passwords_follow_too() -> None:
    story = given().when(command())
    demo = BootstrapUser(user_id="x", user_name="demo", password_hash="h8")
    story.when(command(demo=demo)).then(
        UserPasswordChanged(user_id="demo-id", password_hash="h8", at=AT)
    )


def test_a_disabled_admin_is_let_in_again() -> None:
    story = given().when(command())
    story.when(ChangeUser(user_id="admin-id", enabled=False))
    story.when(command()).then(UserEnabled(user_id="admin-id", at=AT))


def test_what_is_there_is_kept_and_used() -> None:
    story = given(
        role("m", "member", immutable=True),
        project("d", "demo"),
        user("x", "admin", password_hash="h1"),
        user("y", "admin", domain_id="elsewhere"),
    ).when(command())
    grants = {fact.assignment_id for fact in story.facts if isinstance(fact, RoleGranted)}
    assert "project/d/user/demo-id/m" in grants
    assert "system/all/user/x/admin-role" in grants
    made = [fact.user_id for fact in story.facts if isinstance(fact, UserCreated)]
    assert made == ["demo-id"]


def test_a_service_user() -> None:
    nova = BootstrapUser(user_id="nova-id", user_name="nova", password_hash="h3")
    story = given().when(command(demo=None, service=nova))
    grants = [fact.assignment_id for fact in story.facts if isinstance(fact, RoleGranted)]
    assert grants[-2:] == [
        "project/service-project/user/nova-id/admin-role",
        "project/service-project/user/nova-id/service-role",
    ]

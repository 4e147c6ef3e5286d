from __future__ import annotations

from collections import Counter
from typing import Any

from commands.identity.assignment import RevokeRole
from commands.identity.bootstrap import (
    PROJECTS,
    ROLES,
    Bootstrap,
    BootstrapUser,
    ResetAdmin,
)
from commands.identity.project import DeleteProject
from commands.identity.user import ChangeUser, DeleteUser
from events.identity.assignment import RoleGranted
from events.identity.user import UserCreated, UserPasswordChanged
from tests.commands.identity.parts import AT, given, project, role, user

SYSTEM_WIDE: dict[str, Any] = {"target": "system", "target_id": "all"}


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


def test_a_cloud_begins_once() -> None:
    story = given().when(command())
    demo = BootstrapUser(user_id="x", user_name="demo", password_hash="h8")
    story.when(command("h9", demo=demo)).nothing()
    story.when(ChangeUser(user_id="admin-id", enabled=False))
    story.when(command()).nothing()
    story.when(RevokeRole(role_id="admin-role", actor="user", actor_id="admin-id", **SYSTEM_WIDE))
    story.when(command()).nothing()
    story.when(DeleteUser(user_id="admin-id"))
    story.when(command()).nothing()


def reset(admin_hash: str = "h9") -> ResetAdmin:
    return ResetAdmin(
        admin=BootstrapUser(user_id="new-id", user_name="admin", password_hash=admin_hash),
        role_ids={"admin": "new-role"},
        project_ids={"admin": "new-project"},
    )


def test_a_reset_sets_the_password_and_ends_the_tokens() -> None:
    story = given().when(command())
    story.when(reset()).then(
        UserPasswordChanged(user_id="admin-id", password_hash="h9", at=AT),
    )
    assert story.state("user", "admin-id").tokens_valid_from == AT


def test_a_reset_lets_a_disabled_admin_in_again_with_its_roles() -> None:
    story = given().when(command())
    story.when(ChangeUser(user_id="admin-id", enabled=False))
    story.when(RevokeRole(role_id="admin-role", actor="user", actor_id="admin-id", **SYSTEM_WIDE))
    story.when(reset("h1"))
    assert [type(fact).__name__ for fact in story.facts] == ["RoleGranted", "UserEnabled"]


def test_a_reset_makes_an_admin_that_was_deleted() -> None:
    story = given().when(command())
    story.when(DeleteUser(user_id="admin-id"))
    story.when(reset())
    assert [type(fact).__name__ for fact in story.facts] == ["UserCreated", *["RoleGranted"] * 3]
    assert story.state("user", "new-id").name == "admin"


def test_a_reset_brings_nothing_else_back() -> None:
    story = given().when(command())
    story.when(DeleteUser(user_id="demo-id"))
    story.when(DeleteProject(project_id="demo-project"))
    story.when(reset("h1")).nothing()


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

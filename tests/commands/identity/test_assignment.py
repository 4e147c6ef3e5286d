from __future__ import annotations

from commands.identity.assignment import GrantRole, RevokeRole
from events.identity.assignment import RoleGranted, RoleRevoked
from tests.commands.identity.parts import AT, given, project

ON_PROJECT = GrantRole(role_id="r", actor="user", actor_id="u", target="project", target_id="p")
ID = "project/p/user/u/r"


def test_a_role_is_granted_once_and_revoked_once() -> None:
    story = given(project()).when(ON_PROJECT)
    story.then(
        RoleGranted(
            assignment_id=ID,
            role_id="r",
            actor="user",
            actor_id="u",
            target="project",
            target_id="p",
            at=AT,
        )
    )
    story.when(ON_PROJECT).nothing()
    revoke = RevokeRole(role_id="r", actor="user", actor_id="u", target="project", target_id="p")
    story.when(revoke).then(RoleRevoked(assignment_id=ID, at=AT))
    story.when(revoke).refused(404)
    story.when(ON_PROJECT).happened(RoleGranted)


def test_the_project_must_be_there() -> None:
    given().when(ON_PROJECT).refused(404, "Could not find project: p.")


def test_on_the_system_and_on_domains() -> None:
    on_system = GrantRole(
        role_id="r", actor="group", actor_id="g", target="system", target_id="all"
    )
    on_domain = GrantRole(role_id="r", actor="user", actor_id="u", target="domain", target_id="d")
    story = given()
    story.when(on_system).happened(RoleGranted)
    story.when(on_domain).happened(RoleGranted)
    assert story.state("assignment", "system/all/group/g/r").actor == "group"

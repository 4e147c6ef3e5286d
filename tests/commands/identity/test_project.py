from __future__ import annotations

from typing import Any

import pytest

from commands.identity.project import (
    ChangeProject,
    CreateProject,
    DeleteProject,
    TagProject,
    UntagProject,
)
from commands.identity.rules import Text
from events.identity.assignment import RoleRevoked
from events.identity.tenant import (
    ProjectCreated,
    ProjectDeleted,
    ProjectDescribed,
    ProjectDisabled,
    ProjectEnabled,
    ProjectRenamed,
    ProjectTagged,
)
from events.message import Command
from tests.commands.identity.parts import AT, given, granted, project


def create(**fields: Any) -> CreateProject:
    made = {"project_id": "p", "domain_id": "default", "parent_id": "default"}
    return CreateProject(**{**made, "project_name": "web", **fields})


def test_a_project_is_made() -> None:
    given().when(create(tags=["a"], description="x")).then(
        ProjectCreated(
            project_id="p",
            domain_id="default",
            parent_id="default",
            project_name="web",
            description="x",
            tags=["a"],
            at=AT,
        )
    )


def test_a_name_is_taken_in_its_domain_only() -> None:
    story = given(project("q", "web"))
    story.when(create()).refused(409, "web")
    story.when(create(domain_id="d", parent_id="d")).happened(ProjectCreated)


def test_the_parent_is_of_the_same_domain_and_not_too_deep() -> None:
    story = given(project("q", "top", domain_id="d"))
    story.when(create(parent_id="q")).refused(400, "Could not find project")
    story.when(create(parent_id="nothing")).refused(400)
    chain = [project("1", "1")]
    chain += [project(str(n), str(n), parent_id=str(n - 1)) for n in range(2, 6)]
    deep = given(*chain)
    deep.when(create(parent_id="4")).happened(ProjectCreated)
    deep.when(create(project_id="x", project_name="x", parent_id="5")).refused(403, "depth")


def test_changes() -> None:
    story = given(project())
    change = ChangeProject(
        project_id="p",
        project_name="www",
        description=Text(value="d"),
        tags=["x"],
        enabled=False,
    )
    story.when(change).then(
        ProjectRenamed(project_id="p", project_name="www", at=AT),
        ProjectDescribed(project_id="p", description="d", at=AT),
        ProjectTagged(project_id="p", tags=["x"], at=AT),
        ProjectDisabled(project_id="p", at=AT),
    )
    story.when(change).nothing()
    story.when(ChangeProject(project_id="p", enabled=True), at=AT + 9).then(
        ProjectEnabled(project_id="p", at=AT + 9)
    )
    assert story.state("tenant", "p").tokens_valid_from == AT


@pytest.mark.parametrize(
    "command",
    [
        ChangeProject(project_id="p", project_name="x"),
        DeleteProject(project_id="p"),
        TagProject(project_id="p", tag="t"),
        UntagProject(project_id="p", tag="t"),
    ],
)
def test_unknown_and_immutable(command: Command) -> None:
    given().when(command).refused(404, "Could not find project: p.")
    given(project(immutable=True, tags=["t"])).when(command).refused(403, "immutable")


def test_immutability_can_be_lifted() -> None:
    story = given(project(immutable=True))
    story.when(ChangeProject(project_id="p", immutable=False)).happened(ProjectDescribed)
    story.when(DeleteProject(project_id="p")).happened(ProjectDeleted)


def test_renaming_to_a_taken_name() -> None:
    story = given(project("p", "a"), project("q", "b"))
    story.when(ChangeProject(project_id="p", project_name="b")).refused(409)


def test_tags() -> None:
    story = given(project(tags=["a"]))
    story.when(TagProject(project_id="p", tag="a")).nothing()
    story.when(TagProject(project_id="p", tag="b")).then(
        ProjectTagged(project_id="p", tags=["a", "b"], at=AT)
    )
    story.when(UntagProject(project_id="p", tag="a")).then(
        ProjectTagged(project_id="p", tags=["b"], at=AT)
    )
    story.when(UntagProject(project_id="p", tag="a")).refused(404, "tag")
    many = [str(n) for n in range(81)]
    story.when(ChangeProject(project_id="p", tags=many)).refused(400, "80")
    story.when(ChangeProject(project_id="p", tags=many[:80]))
    story.when(TagProject(project_id="p", tag="one more")).refused(400)
    story.when(create(project_id="x", project_name="x", tags=many)).refused(400)


def test_deleting_takes_its_grants_and_leaves_others() -> None:
    story = given(
        project("p", "a"),
        project("q", "b"),
        granted(target_id="p"),
        granted(target_id="q"),
    )
    story.when(DeleteProject(project_id="p")).then(
        RoleRevoked(assignment_id="project/p/user/u/r", at=AT),
        ProjectDeleted(project_id="p", at=AT),
    )
    assert story.state("assignment", "project/q/user/u/r") is not None


def test_a_parent_cannot_be_deleted() -> None:
    story = given(project("p", "a"), project("q", "b", parent_id="p"))
    story.when(DeleteProject(project_id="p")).refused(403, "not a leaf")

from __future__ import annotations

import pytest

from commands.identity.group import (
    AddUserToGroup,
    ChangeGroup,
    CreateGroup,
    DeleteGroup,
    RemoveUserFromGroup,
)
from commands.identity.rules import Text
from events.identity.assignment import RoleRevoked
from events.identity.group import (
    GroupCreated,
    GroupDeleted,
    GroupDescribed,
    GroupRenamed,
    UserAddedToGroup,
    UserRemovedFromGroup,
)
from events.message import Command
from tests.commands.identity.parts import AT, given, granted, group


def test_a_group_is_made_with_a_name_of_its_own() -> None:
    command = CreateGroup(group_id="g", domain_id="default", group_name="engineers")
    story = given().when(command)
    story.then(GroupCreated(group_id="g", domain_id="default", group_name="engineers", at=AT))
    story.when(CreateGroup(group_id="h", domain_id="default", group_name="engineers")).refused(409)
    story.when(CreateGroup(group_id="g", domain_id="default", group_name="x")).refused(409)


def test_changes() -> None:
    story = given(group(), group("h", "others"))
    change = ChangeGroup(group_id="g", group_name="makers", description=Text(value="x"))
    story.when(change).then(
        GroupRenamed(group_id="g", group_name="makers", at=AT),
        GroupDescribed(group_id="g", description="x", at=AT),
    )
    story.when(change).nothing()
    story.when(ChangeGroup(group_id="g", group_name="others")).refused(409)


def test_members() -> None:
    story = given(group())
    story.when(AddUserToGroup(group_id="g", user_id="u")).then(
        UserAddedToGroup(group_id="g", user_id="u", at=AT)
    )
    story.when(AddUserToGroup(group_id="g", user_id="u")).nothing()
    story.when(RemoveUserFromGroup(group_id="g", user_id="u")).then(
        UserRemovedFromGroup(group_id="g", user_id="u", at=AT)
    )
    story.when(RemoveUserFromGroup(group_id="g", user_id="u")).refused(404)


def test_deleting_takes_its_grants() -> None:
    story = given(group(), granted(actor="group", actor_id="g"), granted(actor_id="g"))
    story.when(DeleteGroup(group_id="g")).then(
        RoleRevoked(assignment_id="project/p/group/g/r", at=AT),
        GroupDeleted(group_id="g", at=AT),
    )


@pytest.mark.parametrize(
    "command",
    [
        ChangeGroup(group_id="g"),
        DeleteGroup(group_id="g"),
        AddUserToGroup(group_id="g", user_id="u"),
        RemoveUserFromGroup(group_id="g", user_id="u"),
    ],
)
def test_unknown(command: Command) -> None:
    given().when(command).refused(404, "Could not find group: g.")

from __future__ import annotations

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from commands.identity.role import (
    ChangeRole,
    CreateRole,
    DeleteRole,
    ImplyRole,
    StopImplyingRole,
)
from commands.identity.rules import Text
from events.identity.assignment import RoleRevoked
from events.identity.role import (
    RoleCreated,
    RoleDeleted,
    RoleDescribed,
    RoleImplied,
    RoleNoLongerImplied,
    RoleRenamed,
)
from events.message import Command
from tests.commands.identity.parts import AT, given, granted, role


def test_a_role_is_made_with_a_name_of_its_own() -> None:
    story = given().when(CreateRole(role_id="r", role_name="auditor"))
    story.then(RoleCreated(role_id="r", role_name="auditor", at=AT))
    story.when(CreateRole(role_id="s", role_name="auditor")).refused(409, "auditor")
    story.when(CreateRole(role_id="s", role_name="auditor", domain_id="d")).happened(RoleCreated)
    story.when(CreateRole(role_id="r", role_name="x")).refused(409, "Duplicate ID")


def test_changes() -> None:
    story = given(role(), role("s", "other"))
    change = ChangeRole(role_id="r", role_name="x", description=Text(value="d"), immutable=True)
    story.when(change).then(
        RoleRenamed(role_id="r", role_name="x", at=AT),
        RoleDescribed(role_id="r", description="d", immutable=True, at=AT),
    )
    story.when(ChangeRole(role_id="s", role_name="x")).refused(409)


@pytest.mark.parametrize(
    "command", [ChangeRole(role_id="r", role_name="x"), DeleteRole(role_id="r")]
)
def test_unknown_and_immutable(command: Command) -> None:
    given().when(command).refused(404, "Could not find role: r.")
    given(role(immutable=True)).when(command).refused(403, "immutable")


def test_deleting_takes_implications_and_grants() -> None:
    story = given(
        role("a", "prior"),
        role("r", "gone"),
        RoleImplied(role_id="a", implied_role_id="r", at=1),
        granted("r"),
        granted("a"),
    )
    story.when(DeleteRole(role_id="r")).then(
        RoleRevoked(assignment_id="project/p/user/u/r", at=AT),
        RoleNoLongerImplied(role_id="a", implied_role_id="r", at=AT),
        RoleDeleted(role_id="r", at=AT),
    )
    assert story.state("role", "a").implies == ()


def test_implications() -> None:
    story = given(role("a", "one"), role("b", "two"), role("c", "admin"))
    imply = ImplyRole(role_id="a", implied_role_id="b")
    story.when(imply).then(RoleImplied(role_id="a", implied_role_id="b", at=AT))
    story.when(imply).nothing()
    story.when(ImplyRole(role_id="b", implied_role_id="a")).refused(403, "imply itself")
    story.when(ImplyRole(role_id="a", implied_role_id="a")).refused(403)
    story.when(ImplyRole(role_id="a", implied_role_id="c")).refused(403, "admin")
    story.when(ImplyRole(role_id="x", implied_role_id="a")).refused(404)
    story.when(ImplyRole(role_id="a", implied_role_id="x")).refused(404)
    stop = StopImplyingRole(role_id="a", implied_role_id="b")
    story.when(stop).then(RoleNoLongerImplied(role_id="a", implied_role_id="b", at=AT))
    story.when(stop).refused(404)


IDS = ("a", "b", "c", "d", "e")


@examples(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=20))
def test_no_order_of_implications_makes_a_circle(pairs: list[tuple[str, str]]) -> None:
    story = given(*(role(id, f"role-{id}") for id in IDS))
    for prior, implied in pairs:
        story.when(ImplyRole(role_id=prior, implied_role_id=implied))
    implies = {id: set(story.state("role", id).implies) for id in IDS}
    for _ in IDS:  # close it over as many steps as there are roles
        implies = {
            id: below.union(*(implies[other] for other in below)) for id, below in implies.items()
        }
    assert not any(id in below for id, below in implies.items())

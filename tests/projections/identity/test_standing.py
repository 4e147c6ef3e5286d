"""Who stands how: what authentication reads, on rows that the real folds made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

import commands.identity  # noqa: F401 - registers the deciders
import projections.identity
from commands.identity.application_credential import CreateApplicationCredential
from commands.identity.assignment import GrantRole, RevokeRole
from commands.identity.bootstrap import PROJECTS as BOOTSTRAP_PROJECTS
from commands.identity.bootstrap import ROLES, Bootstrap, BootstrapUser
from commands.identity.group import AddUserToGroup, CreateGroup, DeleteGroup
from commands.identity.project import DeleteProject
from commands.identity.role import CreateRole, DeleteRole, ImplyRole
from commands.identity.token import RevokeToken
from commands.identity.user import ChangeUser, CreateUser, DeleteUser
from events.aggregate import AGGREGATES
from events.message import Command
from events.state_codec import decode_state
from projections.identity.accounts import Named, account, domain_id, project_id
from projections.identity.assignments import assignments, targets_of
from projections.identity.listing import Match, Page, UnknownMarker, documents, page_of_documents
from projections.identity.projects import PROJECTS
from projections.identity.standing import Scope, implied_roles, standing
from projections.table import PROJECTED
from tests.parts.local_bus import LocalBus, store

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

DEMO = Scope("project", "demo-project")


@pytest.fixture
def bus(database: PostgresServer) -> Iterator[LocalBus]:
    with store(database.url) as engine:
        made = LocalBus(engine)
        made.send(
            Bootstrap(
                admin=BootstrapUser(user_id="admin-id", user_name="admin", password_hash="h1"),
                demo=BootstrapUser(user_id="demo-id", user_name="demo", password_hash="h2"),
                role_ids={name: f"{name}-role" for name in ROLES},
                project_ids={name: f"{name}-project" for name in BOOTSTRAP_PROJECTS},
            ),
            "default",
        )
        yield made


def send(bus: LocalBus, *commands: Command) -> None:
    for command in commands:
        bus.send(command, "default")


def grant(role: str, actor_id: str, **fields: Any) -> GrantRole:
    made: dict[str, Any] = {"actor": "user", "target": "project", "target_id": "demo-project"}
    return GrantRole(role_id=role, actor_id=actor_id, **{**made, **fields})


def roles(bus: LocalBus, user_id: str, scope: Scope = DEMO) -> list[str] | None:
    found = standing(bus.engine, user_id, scope)
    return None if found is None else [name for _, name in found.roles]


def test_a_domains_own_role_counts_only_through_what_it_implies(bus: LocalBus) -> None:
    send(
        bus,
        CreateUser(user_id="ada", user_name="ada", domain_id="default"),
        CreateRole(role_id="private", role_name="admin", domain_id="default"),
        CreateRole(role_id="deeper", role_name="manager", domain_id="default"),
        ImplyRole(role_id="private", implied_role_id="deeper"),
        grant("private", "ada"),
    )
    assert roles(bus, "ada") is None
    assert implied_roles(bus.engine, ["private"]) == []
    send(bus, ImplyRole(role_id="deeper", implied_role_id="reader-role"))
    assert roles(bus, "ada") == ["reader"]
    assert implied_roles(bus.engine, ["private"]) == [("reader-role", "reader")]


def test_names_and_roles_with_all_that_they_imply(bus: LocalBus) -> None:
    found = standing(bus.engine, "admin-id", Scope("system", "all"))
    assert found is not None
    assert [name for _, name in found.roles] == ["admin", "manager", "member", "reader"]
    assert (found.user_name, found.user_domain_name) == ("admin", "Default")
    demo = standing(bus.engine, "demo-id", DEMO)
    assert demo is not None
    assert (demo.scope_name, demo.scope_domain_id, demo.scope_domain_name) == (
        "demo",
        "default",
        "Default",
    )


def test_no_role_no_standing(bus: LocalBus) -> None:
    assert roles(bus, "demo-id", Scope("project", "admin-project")) is None
    assert roles(bus, "demo-id", Scope("domain", "default")) is None
    assert roles(bus, "demo-id", Scope("system", "all")) is None
    assert roles(bus, "admin-id", Scope("system", "some")) is None
    assert roles(bus, "nobody") is None
    assert roles(bus, "demo-id", Scope()) == []


def test_by_way_of_a_group(bus: LocalBus) -> None:
    send(
        bus,
        CreateUser(user_id="ada", domain_id="default", user_name="ada"),
        CreateGroup(group_id="g", domain_id="default", group_name="engineers"),
        AddUserToGroup(group_id="g", user_id="ada"),
        grant("reader-role", "g", actor="group"),
    )
    assert roles(bus, "ada") == ["reader"]
    assert targets_of(bus.engine, "project", "ada") == ["demo-project"]
    send(bus, DeleteGroup(group_id="g"))
    assert roles(bus, "ada") is None
    assert targets_of(bus.engine, "project", "ada") == []


def test_roles_that_are_gone_give_nothing(bus: LocalBus) -> None:
    send(
        bus,
        CreateRole(role_id="x", role_name="auditor"),
        ImplyRole(role_id="x", implied_role_id="reader-role"),
        CreateUser(user_id="ada", domain_id="default", user_name="ada"),
        grant("x", "ada"),
    )
    assert roles(bus, "ada") == ["auditor", "reader"]
    # A grant in another partition than the role's is not revoked with the role.
    orphan = grant("x", "ada", target="domain", target_id="elsewhere")
    bus.send(orphan, "elsewhere")
    send(bus, DeleteRole(role_id="x"))
    assert roles(bus, "ada") is None
    assert assignments(bus.engine, {"actor_id": "ada"}) == []


def test_granted_revoked_and_granted_again(bus: LocalBus) -> None:
    revoke = RevokeRole(
        role_id="member-role",
        actor="user",
        actor_id="demo-id",
        target="project",
        target_id="demo-project",
    )
    send(bus, revoke)
    assert roles(bus, "demo-id") is None
    send(bus, grant("member-role", "demo-id"))
    assert roles(bus, "demo-id") == ["member", "reader"]


@pytest.mark.parametrize(
    "command",
    [
        ChangeUser(user_id="demo-id", enabled=False),
        DeleteUser(user_id="demo-id"),
        DeleteProject(project_id="demo-project"),
    ],
)
def test_who_is_gone_or_disabled_does_not_stand(bus: LocalBus, command: Command) -> None:
    send(bus, command)
    assert roles(bus, "demo-id") is None


def test_the_moment_from_which_tokens_count(bus: LocalBus) -> None:
    before = standing(bus.engine, "demo-id", DEMO)
    assert before is not None
    assert before.valid_from == 0
    send(bus, ChangeUser(user_id="demo-id", password_hash="h3"))
    after = standing(bus.engine, "demo-id", DEMO)
    assert after is not None
    assert after.valid_from == bus.events[-1].at


def test_a_revoked_token(bus: LocalBus) -> None:
    send(bus, RevokeToken(audit_id="a", user_id="demo-id", expires_at=5))
    revoked = standing(bus.engine, "demo-id", DEMO, audit_id="a")
    other = standing(bus.engine, "demo-id", DEMO, audit_id="b")
    assert revoked is not None
    assert other is not None
    assert (revoked.revoked, other.revoked) == (True, False)
    assert bus.pass_time(4) == 0
    assert bus.pass_time(5) == 1
    assert bus.partition("identity", "default").all("token_revocation") == {}


def test_a_credential_gives_what_it_has_and_its_user_still_has(bus: LocalBus) -> None:
    send(
        bus,
        CreateApplicationCredential(
            credential_id="c",
            user_id="demo-id",
            project_id="demo-project",
            credential_name="robot",
            secret_hash="h",
            role_ids=["admin-role", "reader-role"],
        ),
    )
    found = standing(bus.engine, "demo-id", DEMO, credential_id="c")
    assert found is not None
    assert [name for _, name in found.roles] == ["member", "reader"]
    assert found.credential is not None
    assert found.credential.name == "robot"
    assert standing(bus.engine, "demo-id", DEMO, credential_id="d") is None
    assert standing(bus.engine, "admin-id", DEMO, credential_id="c") is None


def test_things_by_id_or_name(bus: LocalBus) -> None:
    engine = bus.engine
    by_id = account(engine, Named(id="demo-id"))
    assert by_id is not None
    assert by_id.password_hash == "h2"
    for where in ({"domain_id": "default"}, {"domain_name": "Default"}):
        assert account(engine, Named(name="demo", **where)) == by_id
        assert project_id(engine, Named(name="demo", **where)) == "demo-project"
    assert account(engine, Named(name="demo", domain_id="other")) is None
    assert account(engine, Named(id="demo", name="demo", domain_id="default")) is None
    assert domain_id(engine, None, "Default") == "default"
    assert domain_id(engine, "Default", None) is None


def test_pages_cover_everything_once(bus: LocalBus) -> None:
    for descending in (False, True):
        seen: list[str] = []
        marker = None
        for _ in range(4):
            page = Page(limit=1, marker=marker, descending=descending)
            found, full = page_of_documents(bus.engine, PROJECTS, (), page)
            assert full == bool(found)
            if not found:
                break
            marker = found[-1]["id"]
            seen += [item["name"] for item in found]
        assert seen == sorted(BOOTSTRAP_PROJECTS, reverse=descending)
    with pytest.raises(UnknownMarker):
        page_of_documents(bus.engine, PROJECTS, (), Page(marker="x"))
    match = Match("name", "_", "contains")
    assert documents(bus.engine, PROJECTS, [match]) == []


def test_rows_have_their_tables_columns_and_the_deciders_states(bus: LocalBus) -> None:
    send(bus, DeleteUser(user_id="demo-id"), DeleteProject(project_id="demo-project"))
    partition = bus.partition("identity", "default")
    standard = {"id", "state", "sequence"}
    kinds = {n: p for n, p in PROJECTED.items() if AGGREGATES[n].domain == "identity"}
    assert len(kinds) == 8
    assert projections.identity.__name__ == "projections.identity"
    for name, projected in kinds.items():
        kind, table = AGGREGATES[name], projected.table
        with bus.engine.connect() as connection:
            rows = connection.execute(select(table)).mappings().all()
        states: dict[str, Any] = {row["id"]: decode_state(row["state"], kind.state) for row in rows}
        live = {id: state for id, state in states.items() if not kind.gone(state)}
        assert live == dict(partition.all(name))
        for row in rows:
            made = dict(projected.row(states[row["id"]]))
            assert made == {key: row[key] for key in row if key not in standard}

from __future__ import annotations

from commands.identity.domain import ChangeDomain, CreateDomain, DeleteDomain, EmptyDomain
from commands.identity.rules import Map, Text
from events.identity.application_credential import (
    ApplicationCredentialCreated,
    ApplicationCredentialDeleted,
)
from events.identity.assignment import RoleRevoked
from events.identity.domain import (
    DomainCreated,
    DomainDeleted,
    DomainDescribed,
    DomainDisabled,
    DomainEnabled,
    DomainRenamed,
)
from events.identity.group import GroupDeleted
from events.identity.tenant import ProjectDeleted
from events.identity.user import UserDeleted
from tests.commands.identity.parts import AT, domain, given, granted, group, project, user


def test_a_domain_is_made() -> None:
    given().when(CreateDomain(domain_id="d", domain_name="Guests", extra={"x": "1"})).then(
        DomainCreated(domain_id="d", domain_name="Guests", extra={"x": "1"}, at=AT)
    )


def test_names_and_ids_are_unique() -> None:
    story = given(domain("d", "Guests"))
    story.when(CreateDomain(domain_id="e", domain_name="Guests")).refused(409, "Guests")
    story.when(CreateDomain(domain_id="d", domain_name="Other")).refused(409, "Duplicate ID")


def test_only_what_differs_happens() -> None:
    story = given(domain("d", "Guests", description="x"))
    story.when(ChangeDomain(domain_id="d")).nothing()
    same = ChangeDomain(
        domain_id="d",
        domain_name="Guests",
        description=Text(value="x"),
        enabled=True,
        extra=Map(values={}),
    )
    story.when(same).nothing()
    change = ChangeDomain(
        domain_id="d",
        domain_name="People",
        description=Text(value=None),
        enabled=False,
        extra=Map(values={"a": "1"}),
    )
    story.when(change).then(
        DomainRenamed(domain_id="d", domain_name="People", at=AT),
        DomainDescribed(domain_id="d", description=None, extra={"a": "1"}, at=AT),
        DomainDisabled(domain_id="d", at=AT),
    )
    assert story.state("domain", "d").tokens_valid_from == AT
    later = AT + 5
    story.when(ChangeDomain(domain_id="d", enabled=True), at=later).then(
        DomainEnabled(domain_id="d", at=later)
    )
    assert story.state("domain", "d").tokens_valid_from == AT


def test_a_taken_name_is_refused() -> None:
    story = given(domain("d", "Guests"), domain("e", "Other"))
    story.when(ChangeDomain(domain_id="d", domain_name="Other")).refused(409, "Other")
    story.when(ChangeDomain(domain_id="f", domain_name="New")).refused(404, "Could not find domain")


def test_deleting_needs_it_disabled_and_empties_it_where_it_lies() -> None:
    story = given(domain("d", "Guests"))
    story.when(DeleteDomain(domain_id="d")).refused(403, "disable it first")
    story.when(ChangeDomain(domain_id="d", enabled=False))
    story.when(DeleteDomain(domain_id="d")).then(DomainDeleted(domain_id="d", at=AT))
    (follow,) = story.follows(EmptyDomain)
    assert follow == EmptyDomain(domain_id="d")
    assert [out.key for out in story.outgoing if out.topic == "identity.commands"] == ["d"]
    story.when(DeleteDomain(domain_id="d")).refused(404)


def test_the_default_domain_stays() -> None:
    given(domain(enabled=False)).when(DeleteDomain(domain_id="default")).refused(403, "default")


def test_emptying_takes_all_of_the_domain_and_nothing_else() -> None:
    credential = ApplicationCredentialCreated(
        credential_id="c",
        user_id="u1",
        project_id="p1",
        credential_name="robot",
        secret_hash="h",
        role_ids=[],
        at=1,
    )
    story = given(
        user("u1", domain_id="d"),
        group("g1", domain_id="d"),
        project("p1", domain_id="d"),
        credential,
        granted(actor_id="u1", target_id="p1"),
        granted(actor_id="u1", target="domain", target_id="d"),
        user("u2", domain_id="e"),
        project("p2", domain_id="e"),
        granted(actor_id="u2", target_id="p2"),
    )
    story.when(EmptyDomain(domain_id="d")).then(
        RoleRevoked(assignment_id="domain/d/user/u1/r", at=AT),
        ApplicationCredentialDeleted(credential_id="c", at=AT),
        UserDeleted(user_id="u1", at=AT),
        GroupDeleted(group_id="g1", at=AT),
        RoleRevoked(assignment_id="project/p1/user/u1/r", at=AT),
        ProjectDeleted(project_id="p1", at=AT),
    )
    assert story.state("user", "u2") is not None
    story.when(EmptyDomain(domain_id="d")).nothing()

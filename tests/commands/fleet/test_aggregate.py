"""Host aggregates and availability zones: what is refused, and in which words."""

from __future__ import annotations

import pytest

from commands.fleet.aggregate import (
    AddAggregateHost,
    CreateAggregate,
    DeleteAggregate,
    RemoveAggregateHost,
    SetAggregateMetadata,
    UpdateAggregate,
)
from events.fleet.host_aggregate import (
    AggregateCreated,
    AggregateDeleted,
    AggregateMetadataChanged,
    AggregateRenamed,
    HostAggregate,
)
from events.message import Command
from tests.commands.fleet.fleet import Fleet, place, register


def create(id: str, zone: str | None = None) -> CreateAggregate:
    return CreateAggregate(aggregate_id=id, name=f"name-{id}", availability_zone=zone)


def add(id: str, host: str = "a") -> AddAggregateHost:
    return AddAggregateHost(aggregate_id=id, host=host)


def metadata(id: str, **changes: str | None) -> SetAggregateMetadata:
    return SetAggregateMetadata(aggregate_id=id, metadata=dict(changes))


def state(f: Fleet, id: str) -> HostAggregate:
    aggregate: HostAggregate = f.states["host_aggregate"][id]
    return aggregate


def test_create() -> None:
    f = Fleet().when(create("x", "z1"))
    f.then(
        AggregateCreated(
            at=f.clock,
            aggregate_id="x",
            number=1,
            name="name-x",
            metadata={"availability_zone": "z1"},
        )
    )
    f.when(create("x", "z1")).nothing()
    twin = CreateAggregate(aggregate_id="y", name="name-x")
    f.when(twin).refused(409, "conflictingRequest", "Aggregate name-x already exists.")
    f.when(create("y", "")).refused(400, "badRequest", "empty named availability zone")


def test_numbers_are_never_given_twice() -> None:
    f = Fleet().when(create("x"), DeleteAggregate(aggregate_id="x"), create("y"))
    assert state(f, "y").number == 2


def test_rename() -> None:
    f = Fleet().when(create("x"), create("y"), UpdateAggregate(aggregate_id="x", name="new"))
    f.then(AggregateRenamed(at=f.clock, aggregate_id="x", name="new"))
    f.when(UpdateAggregate(aggregate_id="x", name="new")).nothing()
    f.when(UpdateAggregate(aggregate_id="x", name="name-y")).refused(
        409, "conflictingRequest", "name-y already exists"
    )


def test_delete() -> None:
    f = Fleet().when(register("a"), create("x"), add("x"), DeleteAggregate(aggregate_id="x"))
    f.refused(400, "badRequest", "Host aggregate is not empty")
    f.when(RemoveAggregateHost(aggregate_id="x", host="a"), DeleteAggregate(aggregate_id="x"))
    f.then(AggregateDeleted(at=f.clock, aggregate_id="x"))


def test_members() -> None:
    f = Fleet().when(register("a"), create("x"), add("x"))
    assert state(f, "x").hosts == ("a",)
    f.when(add("x")).refused(409, "conflictingRequest", "already has host a")
    f.when(add("x", "b")).refused(404, "itemNotFound", "Compute host b could not be found.")
    f.when(RemoveAggregateHost(aggregate_id="x", host="b")).refused(
        404, "itemNotFound", "has no host b"
    )


def test_metadata_merges_and_null_removes() -> None:
    f = Fleet().when(create("x"), metadata("x", ssd="1", gpu="2"), metadata("x", ssd=None))
    f.then(AggregateMetadataChanged(at=f.clock, aggregate_id="x", metadata={"gpu": "2"}))
    f.when(metadata("x", gpu="2")).nothing()


def test_a_host_is_in_one_zone_only() -> None:
    f = Fleet().when(register("a"), create("x", "z1"), create("y", "z2"), create("w"), add("x"))
    f.when(add("y")).refused(409, "conflictingRequest", "already in availability zone(s) ['z1']")
    f.when(add("w"))
    f.when(metadata("w", availability_zone="z2")).refused(400, "badRequest", "['z1']")
    f.when(UpdateAggregate(aggregate_id="w", availability_zone="z2")).refused(
        400, "badRequest", "Cannot update aggregate 3. Reason: One or more hosts already in"
    )
    f.when(metadata("w", availability_zone="z1"))
    assert state(f, "w").availability_zone == "z1"


def test_a_zone_does_not_change_under_servers() -> None:
    f = Fleet().when(register("a"), create("x"), create("y", "z1"), add("x"), place("s1"))
    words = "One or more hosts contain instances in this zone"
    f.when(add("y")).refused(409, "conflictingRequest", words)
    f.when(metadata("x", availability_zone="z1")).refused(400, "badRequest", words)
    f.when(UpdateAggregate(aggregate_id="x", availability_zone="z1")).refused(
        400, "badRequest", words
    )
    f.when(metadata("x", ssd="1"))
    assert state(f, "x").metadata == {"ssd": "1"}


def test_a_host_does_not_leave_its_servers_zone() -> None:
    f = Fleet().when(register("a"), create("x", "z1"), create("y", "z1"), add("x"), place("s1"))
    remove = RemoveAggregateHost(aggregate_id="x", host="a")
    f.when(remove).refused(409, "conflictingRequest", "contain instances in this zone")
    f.when(add("y"), remove)
    assert (state(f, "x").hosts, state(f, "y").hosts) == ((), ("a",))


def test_a_zone_cannot_be_emptied() -> None:
    f = Fleet().when(create("x", "z1"))
    for empty in ("", None):
        f.when(metadata("x", availability_zone=empty))
        f.refused(400, "badRequest", "does not support empty named availability zone")


@pytest.mark.parametrize(
    "command",
    [
        UpdateAggregate(aggregate_id="x", name="n"),
        DeleteAggregate(aggregate_id="x"),
        add("x"),
        RemoveAggregateHost(aggregate_id="x", host="a"),
        metadata("x", a="b"),
    ],
)
def test_unknown_aggregates(command: Command) -> None:
    Fleet().when(command).refused(404, "itemNotFound", "Aggregate x could not be found.")

"""The fleet's folds: every event has its place, every record its schema and way back."""

from __future__ import annotations

import typing

import pytest

import commands.fleet
import events.fleet
from events.aggregate import AGGREGATES
from events.fleet.allocation import AllocationClaimed, AllocationEvent, AllocationReleased
from events.fleet.evidence import Evidence, FilterCount, HostScore, WeigherScale
from events.fleet.heartbeat import Heartbeat
from events.fleet.host import HostEvent
from events.fleet.host_aggregate import AggregateEvent, zone_of
from events.fleet.request import Resources
from events.fleet.shard import ShardEvent
from events.log.records import Codec
from events.message import MESSAGES, Event
from schemas.catalog import Catalog, Version, id_of, namespace_of
from schemas.derive import derive
from tests.commands.fleet.fleet import Fleet, place, register

assert commands.fleet and events.fleet

OF_THE_FLEET = sorted(name for name in MESSAGES if name.startswith("fleet."))

EVOLVED = {
    "host": HostEvent,
    "allocation": AllocationEvent,
    "host_aggregate": AggregateEvent,
    "shard": ShardEvent,
}


def codec() -> Codec:
    return Codec(
        Catalog(
            [
                Version(name, 1, id_of(name, 1), derive(MESSAGES[name], namespace_of(name)))
                for name in OF_THE_FLEET
            ]
        )
    )


FOLDED = [n for n in OF_THE_FLEET if issubclass(MESSAGES[n], Event) and MESSAGES[n].folds]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FOLDED)
def test_each_event_is_evolved_by_what_it_folds(name: str) -> None:
    cls = MESSAGES[name]
    assert issubclass(cls, Event) and cls.folds
    for aggregate, field in cls.folds:
        assert field in cls.__struct_fields__
        assert AGGREGATES[aggregate].domain == "fleet"
        assert cls in typing.get_args(EVOLVED[aggregate])


@pytest.mark.parametrize("name", OF_THE_FLEET)
def test_each_record_is_described(name: str) -> None:
    def undocumented(schema: typing.Any) -> typing.Iterator[str]:
        if isinstance(schema, list):
            for option in schema:
                yield from undocumented(option)
        elif isinstance(schema, dict) and schema.get("type") == "record":
            for field in schema["fields"]:
                if not field.get("doc"):
                    yield f"{schema['name']}.{field['name']}"
                yield from undocumented(field["type"])
        elif isinstance(schema, dict):
            yield from undocumented(schema.get("items") or schema.get("values"))

    schema = derive(MESSAGES[name], namespace_of(name))
    assert schema["doc"]
    assert not list(undocumented(schema))


def claimed() -> AllocationClaimed:
    return AllocationClaimed(
        at=5,
        server_id="s1",
        host="a",
        node="a.example",
        generation=3,
        project_id="p",
        user_id="u",
        resources=Resources(vcpus=1, ram_mib=2, disk_gib=3, others={"PCPU": 4}),
        availability_zone="nova",
        alternates=["b"],
        evidence=Evidence(
            hosts_total=2,
            filtered=[FilterCount(filter="Capacity", remaining=2)],
            weighers=[WeigherScale(weigher="RAMWeigher", multiplier=1.0, low=0.0, high=9.0)],
            best=[HostScore(host="a", score=1.0, raw=[9.0], normalised=[1.0])],
            tied=1,
            seed=2**62,
            draw=0,
            spec_fingerprint="00ff",
        ),
    )


def test_records_come_back_as_they_were() -> None:
    both = codec()
    fleet = Fleet().when(register("a"), register("b")).when(place("s1", "s2"))
    beat = Heartbeat(host="a", at=1, started_at=0, version="1")
    for message in (*fleet.history, claimed(), beat, place("s3", "s4"), register("c")):
        assert both.decode(both.encode(message)) == message


def test_amounts_of_other_classes_are_counted() -> None:
    fleet = Fleet().when(register("a")).given(claimed())
    assert fleet.host("a").used("PCPU") == 4
    released = AllocationReleased(
        at=6,
        server_id="s1",
        host="a",
        generation=3,
        project_id="p",
        resources=claimed().resources,
        reason="released",
    )
    fleet.given(released)
    assert fleet.host("a").used("PCPU") == 0
    assert [fleet.host("a").used(name) for name in ("VCPU", "MEMORY_MB", "DISK_GB")] == [0, 0, 0]


def test_a_claim_of_evidence_stays_small() -> None:
    """Bounded, however many hosts there are."""
    few, many = Fleet(), Fleet()
    few.when(*(register(f"h{n:04}", ram_mib=9000 + n) for n in range(10)))
    many.when(*(register(f"h{n:04}", ram_mib=9000 + n) for n in range(1000)))
    both = codec()
    (small,), (large,) = few.when(place("s1")).last.events, many.when(place("s1")).last.events
    assert len(both.encode(large)) <= len(both.encode(small)) + 20
    assert len(both.encode(large)) < 1200


def test_the_zone_of_a_host() -> None:
    fleet = Fleet()
    assert zone_of("a", fleet.all("host_aggregate").values()) == "nova"

"""The fleet's rows in a real Postgres: what the API's lists will read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.dialects import postgresql

import projections.fleet
from commands.fleet.aggregate import (
    AddAggregateHost,
    CreateAggregate,
    DeleteAggregate,
    RemoveAggregateHost,
    SetAggregateMetadata,
)
from commands.fleet.place import ReleaseAllocation
from commands.fleet.service import (
    DeleteService,
    DisableService,
    ForceDownService,
    ReportServiceDown,
)
from events import topics
from events.aggregate import Aggregate, folds_of
from events.fleet.heartbeat import Heartbeat
from events.log.contract import Outgoing
from events.log.memory import MemoryLog
from events.log.records import Codec
from events.message import Command, Event
from events.state_codec import encode_state
from handlers.heartbeat import heartbeat_record
from projections.fleet.allocations import allocations_on, find_allocation
from projections.fleet.heartbeats import SERVICE_HEARTBEATS, heartbeat_rows
from projections.fleet.host_aggregates import find_aggregate, list_aggregates, zone_of_host
from projections.fleet.hypervisors import (
    UnknownMarker,
    find_hypervisor,
    hypervisor_of,
    list_hypervisors,
    statistics,
    uptime,
)
from projections.fleet.services import find_service, list_services, troubles
from projections.fleet.zones import compute_zones, list_zones
from projections.table import PROJECTED
from tests.commands.fleet.fleet import PROJECT, USER, Fleet, place, register
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer

assert projections.fleet

MINUTE = 60_000_000
NOW = 10_000_000_000


class Site:
    """A fleet that is decided in memory, and the rows of what was decided."""

    def __init__(self, connection: Connection) -> None:
        self.rows = connection
        self.fleet = Fleet()
        self.fleet.clock = NOW - 5 * MINUTE
        self._states: dict[tuple[str, str], Any] = {}

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.fleet.when(command)
            assert self.fleet.last.refusal is None
            for event in self.fleet.last.events:
                for aggregate, id in folds_of(event):
                    self._project(aggregate, id, event)

    def _project(self, aggregate: Aggregate, id: str, event: Event) -> None:
        state = self._states.get((aggregate.name, id))
        if state is not None and aggregate.gone(state):
            state = None
        state = self._states[aggregate.name, id] = aggregate.evolve(state, event)
        projected = PROJECTED.get(aggregate.name)
        if projected is None:
            return
        row = {**projected.row(state), "id": id, "state": encode_state(state), "sequence": 1}
        self.rows.execute(
            postgresql.insert(projected.table)
            .values(row)
            .on_conflict_do_update(index_elements=["id"], set_=row)
        )

    def beat(self, *beats: Heartbeat) -> None:
        log = MemoryLog(lambda: NOW)
        log.create_topics(topics.all_topics(1))
        codec = Codec()
        log.append([heartbeat_record(codec, beat, beat.host) for beat in beats])
        log.append([Outgoing(topics.HEARTBEATS, "x", b"no record")])
        rows = heartbeat_rows(log.reader({(topics.HEARTBEATS, 0): 0}).poll(0.0))
        assert len(rows) == len(beats)
        self.rows.execute(insert(SERVICE_HEARTBEATS), rows)


@pytest.fixture
def site(database: PostgresServer) -> Iterator[Site]:
    with store(database.url) as engine, engine.connect() as connection:
        yield Site(connection.execution_options(isolation_level="AUTOCOMMIT"))


def test_hypervisors(site: Site) -> None:
    site.send(register("a", booted_at=NOW - 90 * MINUTE), register("b"), register("c"))
    site.send(place("s1", vcpus=2, disk_gib=3, requested_host="a"))
    found = list_hypervisors(site.rows)
    assert [(row.host, row.number, row.node_id, row.up) for row in found] == [
        ("a", 1, "node-a", True),
        ("b", 2, "node-b", True),
        ("c", 3, "node-c", True),
    ]
    assert found[0].document == {
        "id": "node-a",
        "hypervisor_hostname": "a.example",
        "state": "up",
        "status": "enabled",
        "hypervisor_type": "QEMU",
        "hypervisor_version": 7002000,
        "host_ip": "10.0.0.1",
        "service": {"id": "service-a", "host": "a", "disabled_reason": None},
        "vcpus": 4,
        "vcpus_used": 2,
        "memory_mb": 8704,
        "memory_mb_used": 1536,
        "local_gb": 100,
        "local_gb_used": 3,
        "free_ram_mb": 7168,
        "free_disk_gb": 97,
        "current_workload": 0,
        "running_vms": 1,
        "disk_available_least": None,
        "cpu_info": {"arch": "x86_64", "features": ["avx", "vmx"], "topology": {"cores": 4}},
    }
    assert uptime(found[0], NOW) == " 02:46:40 up 1:30"
    assert uptime(found[1], NOW) is None
    assert uptime(found[0], NOW + 2 * 24 * 60 * MINUTE) == " 02:46:40 up 2 days, 1:30"


def test_hypervisors_are_found_and_paged(site: Site) -> None:
    site.send(*(register(name) for name in ("a1", "a2", "b_1")))
    assert [row.host for row in list_hypervisors(site.rows, limit=2)] == ["a1", "a2"]
    assert [row.host for row in list_hypervisors(site.rows, marker="node-a1")] == ["a2", "b_1"]
    assert [row.host for row in list_hypervisors(site.rows, marker="2", limit=5)] == ["b_1"]
    with pytest.raises(UnknownMarker):
        list_hypervisors(site.rows, marker="node-x")
    assert [row.host for row in list_hypervisors(site.rows, hostname_pattern="a")] == [
        "a1",
        "a2",
        "b_1",  # .example
    ]
    assert [row.host for row in list_hypervisors(site.rows, hostname_pattern="b_")] == ["b_1"]
    assert list_hypervisors(site.rows, hostname_pattern="a_") == []
    for id in ("node-a2", "2"):
        row = find_hypervisor(site.rows, id)
        assert row is not None and row.host == "a2"
    for name in ("a2", "a2.example"):
        row = hypervisor_of(site.rows, name)
        assert row is not None and row.number == 2
    for id in ("99", "node-x", "9" * 30):
        assert find_hypervisor(site.rows, id) is None


def test_statistics(site: Site) -> None:
    assert statistics(site.rows)["count"] == 0
    site.send(register("a"), register("b"), register("gone"), DeleteService(host="gone"))
    site.send(place("s1", "s2", vcpus=2, disk_gib=3))
    assert statistics(site.rows) == {
        "count": 2,
        "current_workload": 0,
        "disk_available_least": 0,
        "free_disk_gb": 194,
        "free_ram_mb": 14336,
        "local_gb": 200,
        "local_gb_used": 6,
        "memory_mb": 17408,
        "memory_mb_used": 3072,
        "running_vms": 2,
        "vcpus": 8,
        "vcpus_used": 4,
    }


def test_what_services_cannot_do_by_themselves(site: Site) -> None:
    sentence = "compute.events/1: record 7 cannot be read"
    site.beat(
        Heartbeat(host="ctl", binary="nova-conductor", at=0, started_at=0, troubles=[sentence]),
        Heartbeat(host="other", binary="nova-conductor", at=0, started_at=0),
    )
    assert troubles(site.rows, 0) == [f"nova-conductor on ctl: {sentence}"]
    assert troubles(site.rows, 2**62) == [], "what was said long ago may be mended since"


def test_services(site: Site) -> None:
    site.send(register("a"), register("b"), DisableService(host="b", reason="fan"))
    site.send(ReportServiceDown(host="b", silent_s=61.0))
    site.send(CreateAggregate(aggregate_id="x", name="x", availability_zone="z1"))
    site.send(AddAggregateHost(aggregate_id="x", host="b"))
    site.beat(
        Heartbeat(host="a", at=0, started_at=0, version="1.2"),
        Heartbeat(host="ctl", binary="nova-scheduler", at=0, started_at=0),
    )
    services = list_services(site.rows, NOW)
    assert [(s.binary, s.host, s.zone, s.disabled, s.up) for s in services] == [
        ("nova-compute", "a", "nova", False, True),
        ("nova-compute", "b", "z1", True, False),
        ("nova-scheduler", "ctl", "internal", False, True),
    ]
    a, b, scheduler = services
    assert (a.id, a.number, a.updated_at, a.version) == ("service-a", 1, NOW, "1.2")
    assert (b.disabled_reason, b.updated_at) == ("fan", NOW - 5 * MINUTE + 4)
    assert scheduler.id == list_services(site.rows, NOW)[2].id
    assert not list_services(site.rows, NOW + 1)[2].up
    assert [s.host for s in list_services(site.rows, NOW, host="b")] == ["b"]
    assert [s.host for s in list_services(site.rows, NOW, binary="nova-scheduler")] == ["ctl"]
    assert [s.host for s in list_services(site.rows, NOW, binary="nova-compute")] == ["a", "b"]
    for id in ("service-b", "2"):
        found = find_service(site.rows, id)
        assert found is not None and found.host == "b"
    assert find_service(site.rows, "service-x") is None


def test_a_host_that_was_forced_down_is_down(site: Site) -> None:
    site.send(register("a"), ForceDownService(host="a", forced_down=True))
    (service,) = list_services(site.rows, NOW)
    assert (service.up, service.forced_down) == (False, True)
    (hypervisor,) = list_hypervisors(site.rows)
    assert hypervisor.document["state"] == "down"


def test_a_deleted_host_is_nowhere(site: Site) -> None:
    site.send(register("a"), DeleteService(host="a"))
    assert list_services(site.rows, NOW) == []
    assert list_hypervisors(site.rows) == []
    assert find_service(site.rows, "service-a") is None


def test_aggregates(site: Site) -> None:
    site.send(register("a"), register("b"))
    for id, zone in (("x", "z1"), ("y", None), ("w", None)):
        site.send(CreateAggregate(aggregate_id=id, name=f"name-{id}", availability_zone=zone))
    site.send(AddAggregateHost(aggregate_id="x", host="b"))
    site.send(AddAggregateHost(aggregate_id="y", host="b"))
    site.send(AddAggregateHost(aggregate_id="y", host="a"))
    site.send(RemoveAggregateHost(aggregate_id="y", host="a"))
    site.send(SetAggregateMetadata(aggregate_id="x", metadata={"ssd": "1"}))
    site.send(DeleteAggregate(aggregate_id="w"))
    x, y = list_aggregates(site.rows)
    assert (x.number, x.id, x.name, x.availability_zone) == (1, "x", "name-x", "z1")
    assert (x.hosts, x.metadata) == (["b"], {"availability_zone": "z1", "ssd": "1"})
    assert (y.hosts, y.metadata, y.availability_zone) == (["b"], {}, None)
    assert find_aggregate(site.rows, 1) == x
    assert find_aggregate(site.rows, 3) is None
    assert zone_of_host(site.rows, "b") == "z1"
    assert zone_of_host(site.rows, "a") == "nova"


def test_zones(site: Site) -> None:
    site.send(register("a"), register("b"), DisableService(host="b"))
    site.send(CreateAggregate(aggregate_id="x", name="x", availability_zone="z1"))
    site.send(AddAggregateHost(aggregate_id="x", host="b"))
    site.beat(Heartbeat(host="ctl", binary="nova-conductor", at=0, started_at=0))
    zones = list_zones(site.rows, NOW)
    assert [(zone.name, zone.available) for zone in zones] == [
        ("internal", True),
        ("nova", True),
        ("z1", False),
    ]
    assert [service.host for service in zones[2].services] == ["b"]
    assert [zone.name for zone in compute_zones(site.rows, NOW)] == ["nova", "z1"]


def test_allocations(site: Site) -> None:
    site.send(register("a"), place("s1", vcpus=2, disk_gib=0), place("s2"))
    found = find_allocation(site.rows, "s1")
    assert found is not None
    assert (found.host, found.node_id, found.generation) == ("a", "node-a", 1)
    assert (found.project_id, found.user_id) == (PROJECT, USER)
    assert found.resources == {"VCPU": 2, "MEMORY_MB": 1024}
    assert [row.server_id for row in allocations_on(site.rows, "a")] == ["s1", "s2"]
    site.send(ReleaseAllocation(server_id="s1", host="a", generation=1))
    assert find_allocation(site.rows, "s1") is None
    assert [row.server_id for row in allocations_on(site.rows, "a")] == ["s2"]
    site.send(place("s1", generation=2))
    found = find_allocation(site.rows, "s1")
    assert found is not None and found.generation == 2

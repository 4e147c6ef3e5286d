"""Registering hosts, reports of inventory, services."""

from __future__ import annotations

import msgspec
import pytest

from commands.fleet.aggregate import AddAggregateHost, CreateAggregate
from commands.fleet.host import EndAgent, ReportInventory
from commands.fleet.place import ReleaseAllocation
from commands.fleet.service import (
    DeleteService,
    DisableService,
    EnableService,
    ForceDownService,
    ReportServiceDown,
    ReportServiceUp,
)
from events.bounds import INT4_MAX, OutOfBounds, check
from events.fleet.host import (
    HostRegistered,
    HostRegistrationRefused,
    InventoryChanged,
    ServiceCameUp,
    ServiceDeleted,
    ServiceDisabled,
    ServiceEnabled,
    ServiceForcedDown,
    ServiceForceDownLifted,
    ServiceWentDown,
)
from events.fleet.host_aggregate import HostRemovedFromAggregate
from events.fleet.inventory import Inventory, unsound
from events.message import Command
from handlers.reactions.host import end_agent
from tests.commands.fleet.fleet import Fleet, host_inventories, hypervisor, place, register


def test_hosts_are_numbered() -> None:
    f = Fleet().when(register("a"), register("b"))
    assert [f.host(name).number for name in "ab"] == [1, 2]
    host = f.host("a")
    assert (host.largest_vcpus, host.largest_ram_mib, host.largest_disk_gib) == (4, 8192, 100)
    assert (host.free_vcpus, host.free_ram_mib, host.free_disk_mib) == (16.0, 8192, 102_400)


def test_registering_again_says_only_what_is_new() -> None:
    f = Fleet().when(register("a", booted_at=10_000_000)).when(register("a", booted_at=12_000_000))
    f.nothing()
    f.when(register("a", booted_at=99_000_000))
    assert [type(event) for event in f] == [InventoryChanged]
    f.when(register("a", booted_at=99_000_000, ram_mib=16_896))
    assert [type(event) for event in f] == [InventoryChanged]
    assert f.host("a").free_ram_mib == 16_384


def test_an_agent_that_starts_is_alive() -> None:
    f = Fleet().when(register("a"), ReportServiceDown(host="a", silent_s=61.0), register("a"))
    f.then(ServiceCameUp(at=f.clock, host="a"))


def test_two_nodes_cannot_share_a_name() -> None:
    other = msgspec.structs.replace(register("a"), node_id="another")
    f = Fleet().when(register("a"), other)
    refused = HostRegistrationRefused(
        at=f.clock, host="a", node_id="another", known_node_id=register("a").node_id
    )
    f.then(refused)
    (told,) = end_agent(refused, None)
    assert told.host == "a"
    assert isinstance(told.work, EndAgent)
    assert (told.work.node_id, told.work.subject) == ("another", "another")


def test_the_first_key_of_a_host_counts() -> None:
    """Whoever can write reports could else read secrets in the name of any host."""
    first = msgspec.structs.replace(register("a"), public_key="aa" * 32)
    Fleet().when(first, first).nothing()
    for key in ("bb" * 32, ""):
        other = msgspec.structs.replace(first, public_key=key)
        f = Fleet().when(first, other).refused(409, "conflictingRequest", "has another key")
        assert f.host("a").public_key == "aa" * 32
    f = Fleet().when(first, DeleteService(host="a"), msgspec.structs.replace(first, public_key="b"))
    assert f.host("a").public_key == "b", "a host that was deleted begins anew"


@pytest.mark.parametrize(
    ("inventory", "words"),
    [
        (Inventory(total=-1), "must not be negative"),
        (Inventory(total=1, max_unit=-1), "must not be negative"),
        (Inventory(total=1, reserved=2), "between 0 and total"),
        (Inventory(total=1, allocation_ratio=0.0), "allocation_ratio"),
        (Inventory(total=1, allocation_ratio=float("nan")), "allocation_ratio"),
        (Inventory(total=1, allocation_ratio=float("inf")), "allocation_ratio"),
    ],
)
def test_impossible_inventories(inventory: Inventory, words: str) -> None:
    command = msgspec.structs.replace(register("a"), inventories={"VCPU": inventory})
    Fleet().when(command).refused(400, "badRequest", words)


@pytest.mark.parametrize("field", ["total", "max_unit"])
def test_the_most_of_anything_is_what_a_record_holds(field: str) -> None:
    """It was 2^42: such a host was refused by the bound of its record, in other words."""
    for amount, fits in ((INT4_MAX, True), (INT4_MAX + 1, False)):
        inventory = msgspec.structs.replace(Inventory(total=1), **{field: amount})
        command = msgspec.structs.replace(register("a"), inventories={"VCPU": inventory})
        assert (unsound(command.hypervisor, command.inventories) is None) == fits
        try:
            check(command)
        except OutOfBounds:
            assert not fits
        else:
            assert fits


@pytest.mark.parametrize("cpu_info", ["", "[]", "x86_64"])
def test_impossible_facts(cpu_info: str) -> None:
    command = register("a", cpu_info=cpu_info)
    Fleet().when(command).refused(400, "badRequest", "cpu_info must be a JSON object.")
    again = ReportInventory(
        host="a",
        node_id="node-a",
        hypervisor=command.hypervisor,
        inventories=command.inventories,
    )
    Fleet().when(register("a"), again).refused(400, "badRequest", "cpu_info")


def test_a_host_smaller_than_its_reservation_has_nothing_to_give() -> None:
    f = Fleet().when(register("a", ram_mib=256))
    assert f.host("a").largest_ram_mib == 0


def report(name: str, **sizes: int) -> ReportInventory:
    known = {"vcpus": 4, "ram_mib": 8704, "disk_gib": 100} | sizes
    return ReportInventory(
        host=name,
        node_id=f"node-{name}",
        hypervisor=hypervisor(name),
        inventories=host_inventories(**known),
    )


def test_reports_of_inventory() -> None:
    f = Fleet().when(register("a"), report("a")).nothing()
    f.when(place("s1", ram_mib=8192), report("a", ram_mib=4608))
    assert [type(event) for event in f] == [InventoryChanged]
    assert f.host("a").largest_ram_mib == -4096
    f.when(report("unknown")).refused(404, "itemNotFound", "unknown could not be found")


def test_a_host_is_not_believed_about_another() -> None:
    f = Fleet().when(register("a"), register("b"))
    known = f.host("a")
    forged = msgspec.structs.replace(report("a", vcpus=64), node_id="node-b")
    f.when(forged).refused(403, "forbidden", "another node")
    assert f.host("a") == known


def test_disk_available_least_bounds_what_is_weighed() -> None:
    f = Fleet().when(register("a", disk_available_least_gib=7))
    assert f.host("a").free_disk_mib == 7 * 1024
    assert f.host("a").largest_disk_gib == 100


def test_enable_and_disable() -> None:
    f = Fleet().when(register("a"), EnableService(host="a")).nothing()
    f.when(DisableService(host="a", reason="disk"))
    f.then(ServiceDisabled(at=f.clock, host="a", reason="disk"))
    f.when(DisableService(host="a", reason="disk")).nothing()
    f.when(DisableService(host="a", reason="fan"))
    assert f.host("a").disabled_reason == "fan"
    f.when(EnableService(host="a")).then(ServiceEnabled(at=f.clock, host="a"))
    assert f.host("a").disabled_reason is None


def test_force_down() -> None:
    f = Fleet().when(register("a"), ForceDownService(host="a", forced_down=True))
    f.then(ServiceForcedDown(at=f.clock, host="a"))
    f.when(ForceDownService(host="a", forced_down=True)).nothing()
    f.when(ReportServiceUp(host="a")).nothing()
    assert not f.host("a").alive
    f.when(place("s1"))
    assert f.placed() == {}
    f.when(ForceDownService(host="a", forced_down=False))
    f.then(ServiceForceDownLifted(at=f.clock, host="a"))
    assert f.host("a").alive


def test_down_and_up_are_noted_once() -> None:
    down, up = ReportServiceDown(host="a", silent_s=60.5), ReportServiceUp(host="a")
    f = Fleet().when(register("a"), up).nothing()
    f.when(down).then(ServiceWentDown(at=f.clock, host="a", silent_s=60.5)).when(down).nothing()
    f.when(up).then(ServiceCameUp(at=f.clock, host="a"))
    f.when(ReportServiceDown(host="unknown", silent_s=60.5)).nothing()


def test_delete() -> None:
    f = Fleet().when(register("a"), CreateAggregate(aggregate_id="x", name="x"))
    f.when(AddAggregateHost(aggregate_id="x", host="a")).when(place("s1"))
    f.when(DeleteService(host="a")).refused(409, "conflictingRequest", "hosting instances")
    f.when(ReleaseAllocation(server_id="s1", host="a", generation=1), DeleteService(host="a"))
    f.then(
        HostRemovedFromAggregate(at=f.clock, aggregate_id="x", host="a"),
        ServiceDeleted(at=f.clock, host="a"),
    )
    f.when(DeleteService(host="a")).refused(404, "itemNotFound", "a could not be found")
    f.when(place("s2"))
    assert f.last.events[0].hosts_total == 0  # type: ignore[attr-defined]


def test_a_deleted_host_may_come_back() -> None:
    f = Fleet().when(register("a"), DeleteService(host="a"))
    f.when(msgspec.structs.replace(register("a"), node_id="new"))
    (registered,) = f.last.events
    assert isinstance(registered, HostRegistered)
    assert registered.number == 2
    assert not f.host("a").deleted


@pytest.mark.parametrize(
    "command",
    [
        EnableService(host="x"),
        DisableService(host="x"),
        ForceDownService(host="x", forced_down=True),
        DeleteService(host="x"),
    ],
)
def test_unknown_hosts(command: Command) -> None:
    Fleet().when(command).refused(404, "itemNotFound", "Compute host x could not be found.")

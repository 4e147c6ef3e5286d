"""The indexed scheduler decides what the plain one decides, byte for byte, evidence and all.

Random fleets, aggregates, mishaps and requests; some decisions lie on top of the indexes, as in a
decider's batch, and some are thrown away, as when a batch fails.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from commands.fleet.aggregate import (
    AddAggregateHost,
    CreateAggregate,
    RemoveAggregateHost,
    SetAggregateMetadata,
)
from commands.fleet.host import ReportInventory
from commands.fleet.judges import FILTERS, judges
from commands.fleet.place import PlaceServers, ReleaseAllocation, place_servers
from commands.fleet.policy import Policy
from commands.fleet.service import (
    DeleteService,
    DisableService,
    EnableService,
    ForceDownService,
    ReportServiceDown,
    ReportServiceUp,
)
from events.fleet.inventory import Inventory, SupportedInstance
from events.fleet.request import GroupSpec
from events.log.records import Codec
from events.message import Event
from tests.commands.fleet.fleet import Fleet, host_inventories, hypervisor, place, register
from tests.parts.plain_scheduler import judges as plain_judges
from tests.parts.plain_scheduler import place as plain

NAMES = tuple(f"host-{n}" for n in range(14))
SERVERS = tuple(f"s{n}" for n in range(30))
AGGREGATES = ("x", "y", "z")
CODEC = Codec()

METADATA = {
    "availability_zone": ["north", "south", "nova"],
    "ram_weight_multiplier": ["2.5", "-1", "none", "nan", "0.1"],
    "num_instances_weight_multiplier": ["-3", "1e9"],
    "max_instances_per_host": ["1", "3", "three", "9" * 18],
    "filter_tenant_id": ["p" * 32, "other, another"],
    "instance_type": ["m1.tiny", "m1.huge"],
    "ssd": ["true", "false,true"],
    "hw_architecture": ["x86_64", "aarch64"],
}

POLICIES = [
    Policy(),
    Policy(host_subset_size=3, scores_max=5),
    Policy(shuffle_best_same_weighed_hosts=True, alternates_max=1, scores_max=1),
    Policy(multipliers={"ram_weight_multiplier": -1.0, "num_instances_weight_multiplier": -0.7}),
    Policy(enabled_filters=tuple(FILTERS), max_instances_per_host=4),
    Policy(
        enabled_filters=tuple(FILTERS),
        isolated_images=frozenset({"image"}),
        isolated_hosts=frozenset(NAMES[:4]),
        aggregate_image_properties_isolation_namespace="hw",
        aggregate_image_properties_isolation_separator="_",
    ),
    Policy(enabled_filters=(), enabled_weighers=("CPUWeigher", "ServerGroupSoftAffinityWeigher")),
]
BOTH = [(judges(policy), plain_judges.judges(policy)) for policy in POLICIES]

names = st.sampled_from(NAMES)
aggregates = st.sampled_from(AGGREGATES)
extra_specs = st.dictionaries(
    st.sampled_from(
        [
            "trait:HW_A",
            "trait:HW_B",
            "resources:CUSTOM_GOLD",
            "resources:VCPU",
            "hypervisor_type",
            "capabilities:cpu_info:topology:cores",
            "capabilities:free_ram_mb",
            "aggregate_instance_extra_specs:ssd",
            "hw:cpu_policy",
        ]
    ),
    st.sampled_from(
        ["required", "forbidden", "1", "3", "QEMU", ">= 4", ">= 4000", "true", "shared"]
    ),
    max_size=1,
)
properties = st.dictionaries(
    st.sampled_from(["hw_architecture", "img_hv_type", "img_hv_requested_version", "trait:HW_A"]),
    st.sampled_from(["x86_64", "aarch64", "qemu", ">=7.0,<8", ">=9", "no version", "required"]),
    max_size=1,
)
hints: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({}),
    st.just({}),
    st.sampled_from(["same_host", "different_host"]).map(lambda hint: {hint: list(SERVERS[:5])}),
    st.sampled_from(["10.0.0.1", "10.0.1.1", "no"]).map(lambda ip: {"build_near_host_ip": [ip]}),
)
groups = st.one_of(
    st.none(),
    st.none(),
    st.builds(
        GroupSpec,
        policy=st.sampled_from(
            ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]
        ),
        max_server_per_host=st.integers(0, 2),
        members=st.just(list(SERVERS[:10])),
    ),
)


def facts_of(kind: int) -> dict[str, Any]:
    """Hosts of three kinds."""
    arch = ("x86_64", "aarch64", "x86_64")[kind]
    return {
        "type": ("QEMU", "QEMU", "other")[kind],
        "version": (7_002_000, 7_002_000, 9_000_001)[kind],
        "host_ip": ("10.0.0.1", "10.0.1.7", "nowhere")[kind],
        "disk_available_least_gib": (None, 5, None)[kind],
        "supported_instances": [
            SupportedInstance(architecture=arch, hypervisor_type="qemu", vm_mode="hvm")
        ],
    }


class SameDecisions(RuleBasedStateMachine):
    """One fleet, asked both ways."""

    @initialize(batch=st.integers(1, 6), kinds=st.lists(st.integers(0, 2), min_size=3, max_size=14))
    def begin(self, batch: int, kinds: list[int]) -> None:
        self.fleet = Fleet(batch)
        self.generation = 0
        for name, kind in zip(NAMES, kinds, strict=False):
            self.register(name, kind)
        self.fleet.when(*(CreateAggregate(aggregate_id=id, name=id) for id in AGGREGATES))

    @rule(name=names, kind=st.integers(0, 2))
    def register(self, name: str, kind: int) -> None:
        traits = [["HW_A"], ["HW_A", "HW_B"], []][kind]
        self.fleet.when(register(name, ram_mib=9000 + 1000 * kind, traits=traits, **facts_of(kind)))

    @rule(name=names, kind=st.integers(0, 2), vcpus=st.integers(0, 8), gold=st.booleans())
    def report(self, name: str, kind: int, vcpus: int, gold: bool) -> None:
        inventories = host_inventories(vcpus, 4000 * kind, 20)
        if gold:
            inventories["CUSTOM_GOLD"] = Inventory(total=2)
        facts = hypervisor(name, **facts_of(kind))
        told = ReportInventory(
            host=name, node_id=f"node-{name}", hypervisor=facts, inventories=inventories
        )
        self.fleet.when(told)

    @rule(name=names, how=st.integers(0, 6))
    def service(self, name: str, how: int) -> None:
        self.fleet.when(
            [
                DisableService(host=name),
                EnableService(host=name),
                ReportServiceDown(host=name, silent_s=61.0),
                ReportServiceUp(host=name),
                ForceDownService(host=name, forced_down=True),
                ForceDownService(host=name, forced_down=False),
                DeleteService(host=name),
            ][how]
        )

    @rule(id=aggregates, name=names)
    def join(self, id: str, name: str) -> None:
        self.fleet.when(AddAggregateHost(aggregate_id=id, host=name))

    @rule(id=aggregates, name=names)
    def leave(self, id: str, name: str) -> None:
        self.fleet.when(RemoveAggregateHost(aggregate_id=id, host=name))

    @rule(id=aggregates, key=st.sampled_from(sorted(METADATA)), data=st.data())
    def describe(self, id: str, key: str, data: st.DataObject) -> None:
        value = data.draw(st.sampled_from([*METADATA[key], None]))
        self.fleet.when(SetAggregateMetadata(aggregate_id=id, metadata={key: value}))

    @rule(id=st.sampled_from(SERVERS))
    def release(self, id: str) -> None:
        self.fleet.when(ReleaseAllocation(server_id=id, generation=self.generation))

    @rule(
        ids=st.sets(st.sampled_from(SERVERS), min_size=1, max_size=4),
        which=st.integers(0, len(BOTH) - 1),
        seed=st.integers(0, 2**63 - 1),
        kept=st.booleans(),
        data=st.data(),
    )
    def place(self, ids: set[str], which: int, seed: int, kept: bool, data: st.DataObject) -> None:
        self.generation += 1
        requested = data.draw(st.sampled_from([None] * 5 + [NAMES[0], NAMES[1]]))
        command = place(
            *sorted(ids),
            generation=self.generation,
            seed=seed,
            excluded=tuple(data.draw(st.sets(names, max_size=3))),
            vcpus=data.draw(st.integers(0, 3)),
            ram_mib=data.draw(st.sampled_from([0, 500, 1000, 3333])),
            disk_gib=data.draw(st.integers(0, 3)),
            extra_specs=data.draw(extra_specs),
            image_id=data.draw(st.sampled_from([None, "image"])),
            image_properties=data.draw(properties),
            availability_zone=data.draw(
                st.sampled_from([None] * 8 + ["nova", "nova", "north", "south"])
            ),
            requested_host=requested,
            forced=requested is not None and data.draw(st.booleans()),
            scheduler_hints=data.draw(hints),
            group=data.draw(groups),
        )
        events = self.decided(command, which)
        if kept:
            self.fleet.given(*events)

    @rule(
        server=st.sampled_from(SERVERS),
        seed=st.integers(0, 2**63 - 1),
        which=st.integers(0, len(BOTH) - 1),
        ram_mib=st.sampled_from([0, 700, 2500]),
    )
    def place_plainly(self, server: str, seed: int, which: int, ram_mib: int) -> None:
        """Little asked for: most hosts are left."""
        self.generation += 1
        command = place(server, generation=self.generation, seed=seed, ram_mib=ram_mib)
        self.fleet.given(*self.decided(command, which))

    def decided(self, command: PlaceServers, which: int) -> tuple[Event, ...]:
        ours, theirs = BOTH[which]
        decision = place_servers(self.fleet, command, 5, ours)
        expected = plain.place_servers(self.fleet, command, 5, theirs)
        assert decision == expected
        assert [CODEC.encode(e) for e in decision.events] == [
            CODEC.encode(e) for e in expected.events
        ]
        assert msgspec.json.encode(decision)  # no number of another kind has crept in
        return decision.events


SameDecisions.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSame = SameDecisions.TestCase

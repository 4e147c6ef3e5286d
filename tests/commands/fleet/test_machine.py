"""Random placements, releases, moves and mishaps against the invariants of capacity.

After each step: no host holds more than its capacity, its totals are the sums over the claims,
each server is on one host at most. In the end everything is released and nothing is left; and
every claim, decided again from the history before it, is the same claim.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from commands.fleet.host import ReportInventory
from commands.fleet.judges import Judges, judges
from commands.fleet.place import PlaceServers, ReleaseAllocation, place_servers
from commands.fleet.policy import Policy
from commands.fleet.service import (
    DeleteService,
    DisableService,
    EnableService,
    ReportServiceDown,
    ReportServiceUp,
)
from events.fleet.allocation import Allocation, AllocationClaimed
from events.fleet.host import Host
from events.fleet.request import GroupSpec
from events.message import Command, Event
from events.state_codec import decode_state, encode_state
from tests.commands.fleet.fleet import Fleet, host_inventories, hypervisor, place, register

NAMES = ("a", "b", "c", "d")
SERVERS = tuple(f"s{n}" for n in range(12))

names = st.sampled_from(NAMES)
servers = st.sampled_from(SERVERS)
seeds = st.integers(0, 2**63 - 1)


class FleetMachine(RuleBasedStateMachine):
    """The fleet, and beside it the newest generation of each server."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet()
        self.judges: Judges = judges(Policy(host_subset_size=2))
        self.asked: list[tuple[int, PlaceServers]] = []
        self.generations: dict[str, int] = {}
        self.grown: dict[str, int] = {}

    def send(self, command: Command) -> tuple[Event, ...]:
        self.fleet.when(command)
        return self.fleet.last.events

    def send_place(self, command: PlaceServers) -> tuple[Event, ...]:
        self.asked.append((len(self.fleet.history), command))
        decision = place_servers(self.fleet, command, 1, self.judges)
        assert decision.refusal is None
        self.fleet.given(*decision.events)
        claims = [event for event in decision.events if isinstance(event, AllocationClaimed)]
        assert len(claims) in (0, len(set(command.server_ids)))
        return decision.events

    @rule(name=names, vcpus=st.integers(1, 4), ram=st.integers(600, 6000))
    def register(self, name: str, vcpus: int, ram: int) -> None:
        if name not in self.fleet.all("host"):
            self.send(register(name, vcpus=vcpus, ram_mib=ram, disk_gib=20))

    @rule(ids=st.sets(servers, min_size=1, max_size=4), seed=seeds, data=st.data())
    def place(self, ids: set[str], seed: int, data: st.DataObject) -> None:
        """A new attempt, for servers that may or may not hold room by an older one."""
        generation = max(self.generations.get(id, 0) for id in ids) + 1
        self.generations.update(dict.fromkeys(ids, generation))
        group = data.draw(
            st.sampled_from([None, GroupSpec(policy="anti-affinity", members=list(SERVERS[:6]))])
        )
        self.send_place(
            place(
                *sorted(ids),
                generation=generation,
                seed=seed,
                vcpus=data.draw(st.integers(0, 4)),
                ram_mib=data.draw(st.integers(0, 3000)),
                disk_gib=data.draw(st.integers(0, 10)),
                excluded=tuple(data.draw(st.sets(names, max_size=2))),
                group=group,
            )
        )

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def place_again(self, data: st.DataObject) -> None:
        """A request is delivered again: nothing changes while its servers want nothing newer."""
        _, command = self.asked[-1]
        if any(id in self.released() for id in command.server_ids):
            return
        assert place_servers(self.fleet, command, 2, self.judges).events == ()

    def released(self) -> set[str]:
        """Servers that neither hold room nor were refused at their newest generation."""
        shard = self.fleet.get("shard", "default")
        return {
            id
            for id, generation in self.generations.items()
            if self.fleet.get("allocation", id) is None
            and (shard is None or shard.refused_generation(id) < generation)
        }

    @rule(id=servers, back=st.integers(0, 2))
    def release(self, id: str, back: int) -> None:
        generation = self.generations.get(id, 0) - back
        claim: Allocation | None = self.fleet.get("allocation", id)
        events = self.send(ReleaseAllocation(server_id=id, generation=generation))
        held = claim is not None and claim.generation <= generation
        assert len(events) == held

    @rule(name=names, up=st.booleans())
    def liveness(self, name: str, up: bool) -> None:
        self.send(ReportServiceUp(host=name) if up else ReportServiceDown(host=name, silent_s=61))

    @rule(name=names, enabled=st.booleans())
    def service(self, name: str, enabled: bool) -> None:
        self.fleet.when(EnableService(host=name) if enabled else DisableService(host=name))

    @rule(name=names)
    def delete_service(self, name: str) -> None:
        host: Host | None = self.fleet.get("host", name)
        self.fleet.when(DeleteService(host=name))
        refused = host is None or host.deleted or host.servers > 0
        assert (self.fleet.last.refusal is not None) == refused

    @rule(name=names, more=st.integers(0, 2))
    def grow(self, name: str, more: int) -> None:
        """Never smaller: a host that shrinks may hold more than it has."""
        more = self.grown[name] = self.grown.get(name, 0) + more
        self.fleet.when(
            ReportInventory(
                host=name,
                node_id=f"node-{name}",
                hypervisor=hypervisor(name),
                inventories=host_inventories(4 + more, 6000 + more, 20 + more),
            )
        )

    @invariant()
    def nothing_is_given_twice(self) -> None:
        claims: list[Allocation] = list(self.fleet.all("allocation").values())
        for name, host in self.fleet.all("host").items():
            held = [claim.resources for claim in claims if claim.host == name]
            assert host.servers == len(held)
            assert host.used_vcpus == sum(r.vcpus for r in held)
            assert host.used_ram_mib == sum(r.ram_mib for r in held)
            assert host.used_disk_gib == sum(r.disk_gib for r in held)
            assert host.used_vcpus <= host.inventories["VCPU"].capacity
            assert host.used_ram_mib <= host.inventories["MEMORY_MB"].capacity
            assert host.used_disk_gib <= host.inventories["DISK_GB"].capacity
            assert not (host.deleted and held)

    @invariant()
    def states_survive_their_bytes(self) -> None:
        for states in self.fleet.states.values():
            for state in states.values():
                assert decode_state(encode_state(state), type(state)) == state

    def teardown(self) -> None:
        self.every_claim_is_decided_the_same_again()
        for id, generation in self.generations.items():
            self.send(ReleaseAllocation(server_id=id, generation=generation))
        assert not self.fleet.all("allocation")
        for host in self.fleet.all("host").values():
            assert (host.used_vcpus, host.used_ram_mib, host.used_disk_gib) == (0, 0, 0)
            assert host.servers == 0

    def every_claim_is_decided_the_same_again(self) -> None:
        again = Fleet()
        for before, command in self.asked:
            again.given(*self.fleet.history[len(again.history) : before])
            decided = place_servers(again, command, 1, self.judges).events
            assert decided == tuple(self.fleet.history[before : before + len(decided)])


FleetMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFleet = FleetMachine.TestCase

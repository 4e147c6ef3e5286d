"""Given, when, then for the fleet: a partition in memory that folds what is decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import commands.fleet
from commands.decision import DECIDERS, Decision
from commands.fleet.host import RegisterHost
from commands.fleet.place import PlaceServers
from events.aggregate import folds_of
from events.fleet.host import Host
from events.fleet.inventory import (
    DISK_GB,
    MEMORY_MB,
    VCPU,
    Hypervisor,
    Inventory,
    SupportedInstance,
)
from events.fleet.request import RequestSpec
from events.message import Command, Event
from handlers.indexes import Indexes

assert commands.fleet

PROJECT = "p" * 32
USER = "u" * 32


class Fleet:
    """A ``View`` with a memory of what was decided last.

    ``batch``: so many decisions are committed together; until then what they changed lies on top
    of the indexes, as in a decider's batch.
    """

    level = 1

    def __init__(self, batch: int = 1) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.batch = batch
        self._committed: dict[str, dict[str, Any]] = {}
        self._indexes = Indexes(self._committed)
        self._changed: dict[str, dict[str, Any | None]] = {}
        self._decided = 0
        self.history: list[Event] = []
        self.last = Decision()
        self.clock = 1_000_000

    def get(self, aggregate: str, id: str) -> Any:
        return self.states.get(aggregate, {}).get(id)

    def all(self, aggregate: str) -> Mapping[str, Any]:
        return self.states.get(aggregate, {})

    def index(self, name: str) -> Any:
        return self._indexes.get(name)

    def changed(self, aggregate: str) -> Mapping[str, Any | None]:
        return self._changed.get(aggregate, {})

    def given(self, *events: Event) -> Fleet:
        """These facts happened, by one decision."""
        for event in events:
            self.history.append(event)
            for aggregate, id in folds_of(event):
                state = aggregate.evolve(self.get(aggregate.name, id), event)
                states = self.states.setdefault(aggregate.name, {})
                if state is None or aggregate.gone(state):
                    state = None
                    states.pop(id, None)
                else:
                    states[id] = state
                self._changed.setdefault(aggregate.name, {})[id] = state
        self._decided += 1
        if self._decided % self.batch == 0:
            self.commit()
        return self

    def commit_all(self) -> None:
        """The indexes hold ``states`` as they are, however they came to be."""
        self._changed = {name: dict(states) for name, states in self.states.items()}
        self.commit()

    def commit(self) -> None:
        """The indexes hold all that has happened."""
        for name, changed in self._changed.items():
            states = self._committed.setdefault(name, {})
            for id, after in changed.items():
                before = states.pop(id, None)
                if after is not None:
                    states[id] = after
                self._indexes.replace(name, id, before, after)
        self._changed.clear()

    def when(self, *commands: Command) -> Fleet:
        """These are decided and folded, one after the other; the last decision is kept."""
        for command in commands:
            self.clock += 1
            decider = DECIDERS[command.type_name]
            if decider.aggregate is None or decider.key is None:
                self.last = decider.decide(self, command, self.clock)
            else:
                state = self.get(decider.aggregate, getattr(command, decider.key))
                self.last = decider.decide(state, command, self.clock)
            self.given(*self.last.events)
        return self

    def then(self, *events: Event) -> Fleet:
        """Exactly these facts followed."""
        assert self.last.refusal is None, self.last.refusal
        assert self.last.events == events
        return self

    def nothing(self) -> Fleet:
        """It was accepted and nothing changed."""
        return self.then()

    def refused(self, status: int, code: str, words: str) -> Fleet:
        """It was refused with a sentence that contains ``words``."""
        assert self.last.refusal is not None, self.last.events
        assert (self.last.refusal.status, self.last.refusal.code) == (status, code)
        assert words in self.last.refusal.detail
        return self

    def host(self, name: str) -> Host:
        host: Host = self.states["host"][name]
        return host

    def placed(self) -> dict[str, str]:
        """Server → host, of all that hold room."""
        return {id: a.host for id, a in self.states.get("allocation", {}).items()}

    def __iter__(self) -> Iterator[Event]:
        return iter(self.last.events)


def hypervisor(name: str, **facts: Any) -> Hypervisor:
    known: dict[str, Any] = {
        "hostname": f"{name}.example",
        "type": "QEMU",
        "version": 7_002_000,
        "host_ip": "10.0.0.1",
        "cpu_info": '{"arch": "x86_64", "features": ["avx", "vmx"], "topology": {"cores": 4}}',
        "supported_instances": [
            SupportedInstance(architecture="x86_64", hypervisor_type="qemu", vm_mode="hvm")
        ],
    }
    return Hypervisor(**(known | facts))


def host_inventories(vcpus: int, ram_mib: int, disk_gib: int) -> dict[str, Inventory]:
    """With Nova's initial ratios and its reservation."""
    return {
        VCPU: Inventory(total=vcpus, allocation_ratio=4.0),
        MEMORY_MB: Inventory(total=ram_mib, reserved=min(512, ram_mib)),
        DISK_GB: Inventory(total=disk_gib),
    }


def register(
    name: str, vcpus: int = 4, ram_mib: int = 8704, disk_gib: int = 100, **facts: Any
) -> RegisterHost:
    """An agent's first word: 16 VCPU, 8192 MB and 100 GB to give, by default."""
    traits = facts.pop("traits", [])
    return RegisterHost(
        host=name,
        node_id=f"node-{name}",
        service_id=f"service-{name}",
        hypervisor=hypervisor(name, **facts),
        inventories=host_inventories(vcpus, ram_mib, disk_gib),
        traits=traits,
    )


def spec(**wanted: Any) -> RequestSpec:
    known: dict[str, Any] = {
        "vcpus": 1,
        "ram_mib": 1024,
        "disk_gib": 1,
        "flavor_name": "m1.tiny",
        "user_id": USER,
    }
    return RequestSpec(**(known | wanted))


def place(
    *server_ids: str,
    generation: int = 1,
    seed: int = 7,
    excluded: tuple[str, ...] = (),
    **wanted: Any,
) -> PlaceServers:
    return PlaceServers(
        server_ids=list(server_ids),
        project_id=PROJECT,
        spec=spec(**wanted),
        generation=generation,
        excluded_hosts=list(excluded),
        seed=seed,
    )

"""A host's presence: what it is and has, and that it lives.

At its start the agent registers each host; now and then it reports what changed. Heartbeats
lie outside the event log: only a change of up-ness is a fact, and the scheduler records that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from commands.fleet.host import RegisterHost, ReportInventory
from events import topics
from events.fleet.heartbeat import Heartbeat, fitting
from events.fleet.inventory import (
    DISK_GB,
    MEMORY_MB,
    VCPU,
    Hypervisor,
    Inventory,
    SupportedInstance,
    unsound,
)
from events.fleet.request import SHARD
from events.host_proof import NoProofs, Proofs
from events.log.contract import Outgoing
from events.log.records import Codec, headers
from events.message import Context, Message
from handlers.compute.drivers.contract import Driver, DriverError, HostResources
from handlers.performer.witness import Appender

RESERVED_RAM_MIB = 512
"""``reserved_host_memory_mb``."""
CPU_RATIO, RAM_RATIO, DISK_RATIO = 4.0, 1.0, 1.0
"""``initial_*_allocation_ratio``."""


class Identity(msgspec.Struct, frozen=True):
    """The ids that a host keeps for ever, and the public half (hex) of its key."""

    node_id: str
    service_id: str
    public_key: str = ""


def inventories_of(resources: HostResources) -> dict[str, Inventory]:
    """What the scheduler may give away."""
    reserved = min(RESERVED_RAM_MIB, resources.ram_mib)
    return {
        VCPU: Inventory(total=resources.vcpus, allocation_ratio=CPU_RATIO),
        MEMORY_MB: Inventory(
            total=resources.ram_mib, reserved=reserved, allocation_ratio=RAM_RATIO
        ),
        DISK_GB: Inventory(total=resources.disk_gib, allocation_ratio=DISK_RATIO),
    }


def hypervisor_of(resources: HostResources) -> Hypervisor:
    """Facts about the node."""
    return Hypervisor(
        hostname=resources.hypervisor_hostname,
        type=resources.hypervisor_type,
        version=resources.hypervisor_version,
        host_ip=resources.host_ip,
        cpu_info=msgspec.json.encode(resources.cpu_info).decode(),
        supported_instances=[
            SupportedInstance(architecture=arch, hypervisor_type=kind, vm_mode=mode)
            for arch, kind, mode in resources.supported_instances
        ],
    )


class Presence:
    """Speaks for the hosts of one agent. Any one thread at a time; the log is shared."""

    def __init__(
        self,
        log: Appender,
        name: str,
        hosts: Mapping[str, Driver],
        identities: Mapping[str, Identity],
        *,
        clock: Callable[[], int],
        new_id: Callable[[], str],
        version: str = "",
        codec: Codec | None = None,
        proofs: Proofs | None = None,
    ) -> None:
        self._log = log
        self._proofs = proofs or NoProofs()
        self._source = f"/chronova/agent/{name}"
        self._hosts = hosts
        self._identities = identities
        self._clock = clock
        self._new_id = new_id
        self._version = version
        self._started = clock()
        self._codec = codec or Codec()
        self._said: dict[str, ReportInventory] = {}

    def register(self) -> None:
        """Say what each host is and has. Raises ``LogUnavailable`` or the driver's errors."""
        records, said = [], {}
        for host, driver in self._hosts.items():
            resources = driver.resources()
            reason = unsound(hypervisor_of(resources), inventories_of(resources))
            if reason is not None:
                raise DriverError(f"Host {host} cannot be registered: {reason}")
            identity = self._identities[host]
            command = RegisterHost(
                host=host,
                node_id=identity.node_id,
                service_id=identity.service_id,
                public_key=identity.public_key,
                hypervisor=hypervisor_of(resources),
                inventories=inventories_of(resources),
            )
            said[host] = self._inventory(host, resources)
            records.append(self._record(topics.reports("fleet"), SHARD, command))
        self._append(records)
        self._said.update(said)

    def report_changes(self) -> None:
        """Say what changed since the log last took it."""
        records, said = [], {}
        for host, driver in self._hosts.items():
            report = self._inventory(host, driver.resources())
            if self._said.get(host) != report:
                said[host] = report
                records.append(self._record(topics.reports("fleet"), SHARD, report))
        self._append(records)
        self._said.update(said)

    def end(self) -> None:
        """Say that each host's service ends now: it is down at once, not after a silence."""
        self.beat(ending=True)

    def beat(self, *, ending: bool = False, troubles: Sequence[str] = ()) -> None:
        """Say that each host's service lives, or that it ends, and what waits for help."""
        self._append(
            [
                self._record(
                    topics.HEARTBEATS,
                    host,
                    Heartbeat(
                        host=host,
                        at=self._clock(),
                        started_at=self._started,
                        version=self._version,
                        troubles=fitting(troubles),
                        level=self._codec.levels.known,
                        ending=ending,
                    ),
                )
                for host in self._hosts
            ]
        )

    def _inventory(self, host: str, resources: HostResources) -> ReportInventory:
        return ReportInventory(
            host=host,
            node_id=self._identities[host].node_id,
            hypervisor=hypervisor_of(resources),
            inventories=inventories_of(resources),
        )

    def _record(self, topic: str, key: str, message: Message) -> Outgoing:
        context = Context(id=f"{self._new_id()}:{message.type_name}", time=self._clock())
        made = headers(context, message.type_name, self._source)
        record = Outgoing(topic, key, self._codec.encode(message), made)
        return self._proofs.add(record, message)

    def _append(self, records: Sequence[Outgoing]) -> None:
        if records:
            self._log.append(records)

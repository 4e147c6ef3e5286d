from __future__ import annotations

import msgspec
import pytest

from commands.fleet.host import RegisterHost, ReportInventory
from events import topics
from events.fleet.heartbeat import Heartbeat
from events.log.contract import LogUnavailable
from events.log.memory import Cluster, Fault, MemoryLog, Operation
from events.log.records import Codec
from handlers.compute.drivers.contract import DriverError, HostResources
from handlers.compute.drivers.simulated import SimulatedDriver, simulated_resources
from handlers.compute.presence import Identity, Presence

CODEC = Codec()


class Growing(SimulatedDriver):
    """A host that is given more memory."""

    ram_mib = 1024

    def resources(self) -> HostResources:
        return msgspec.structs.replace(simulated_resources("h"), ram_mib=self.ram_mib)


class Rig:
    def __init__(self) -> None:
        self.away = False
        self.cluster = Cluster(lambda: 0, faults=self._strikes)
        for topic in topics.all_topics(1):
            self.cluster.create(topic)
        self.driver = Growing("h")
        self.presence = Presence(
            MemoryLog(cluster=self.cluster),
            "h",
            {"h": self.driver},
            {"h": Identity("node", "service")},
            clock=lambda: 0,
            new_id=lambda: "id",
            codec=CODEC,
        )

    def _strikes(self, operation: Operation) -> Fault | None:
        return Fault.UNAVAILABLE if self.away else None

    def said(self) -> list[type]:
        records = self.cluster.partitions["fleet.reports", 0].records
        return [type(CODEC.decode(record.value)) for record in records]


def test_what_changed_is_said_once() -> None:
    rig = Rig()
    rig.presence.register()
    rig.presence.report_changes()
    rig.driver.ram_mib = 2048
    rig.presence.report_changes()
    rig.presence.report_changes()
    assert rig.said() == [RegisterHost, ReportInventory]


def test_what_the_log_did_not_take_is_said_again() -> None:
    """An inventory that changed while the log was away was never reported."""
    rig = Rig()
    rig.presence.register()
    rig.driver.ram_mib = 2048
    rig.away = True
    with pytest.raises(LogUnavailable):
        rig.presence.report_changes()
    rig.away = False
    rig.presence.report_changes()
    assert rig.said() == [RegisterHost, ReportInventory]


def test_a_host_that_cannot_be_registered_is_not_silent() -> None:
    rig = Rig()
    rig.driver.ram_mib = -1
    with pytest.raises(DriverError, match="cannot be registered"):
        rig.presence.register()
    assert rig.said() == []


def test_troubles_of_any_length_are_said() -> None:
    rig = Rig()
    rig.presence.beat(troubles=["x\x00" * 1000])
    (record,) = rig.cluster.partitions[topics.HEARTBEATS, 0].records
    beat = CODEC.decode(record.value)
    assert isinstance(beat, Heartbeat)
    assert beat.troubles[0].startswith("x\N{REPLACEMENT CHARACTER}x")

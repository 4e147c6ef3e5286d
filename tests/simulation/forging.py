"""A stolen host that knows everything: it speaks in the names of others, and proves what it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from commands.compute.boot import ReportBootFailed, ReportDomainStarted
from commands.compute.delete import ReportGuestRemoved
from commands.compute.guest import GuestReport
from commands.compute.power import ReportGuestStopped
from commands.compute.power_state import ReportPowerState
from events import topics
from events.compute.server import Server
from events.fleet.heartbeat import Heartbeat
from events.host_proof import HEADER
from events.log.contract import Outgoing
from events.log.records import headers
from events.message import Context, Message
from tests.parts.proofs import proofs_of
from tests.simulation.fault_kind import FaultKind

REPORTS: tuple[Callable[..., GuestReport | ReportPowerState], ...] = (
    lambda **named: ReportGuestRemoved(**named),
    lambda **named: ReportGuestStopped(**named, power_state=4),
    lambda **named: ReportDomainStarted(**named, power_state=1),
    lambda **named: ReportBootFailed(**named, reason="it is said"),
    lambda **named: ReportPowerState(**named, power_state=4),
)


class Forged(FaultKind):
    """Reports about guests of other hosts with all numbers right, and their goodbyes."""

    name = "forged"
    drawn = False
    every_s = 1.0
    made = 0

    def visit(self) -> None:
        stolen, other = self.rng.sample([machine.host for machine in self.world.machines], 2)
        of_other = [s for s in self.world.visible_servers() if s.host == other]
        if self.rng.random() < 0.2 or not of_other:
            now = self.world.kernel.now
            beat = Heartbeat(host=other, at=now, started_at=0, ending=True)
            self._write(topics.HEARTBEATS, other, beat, stolen)
            return
        server: Server = self.rng.choice(of_other)
        named: dict[str, Any] = {
            "server_id": server.server_id,
            "project_id": server.project_id,
            "host": other,
            "generation": server.generation,
            "operation": server.operation,
        }
        report = self.rng.choice(REPORTS)(**named)
        self._write(topics.reports("compute"), server.project_id, report, stolen)

    def _write(self, topic: str, key: str, message: Message, stolen: str) -> None:
        self.made += 1
        id = f"forged-{self.made}:{message.type_name}"
        self.said(f"{message.type_name} by {stolen}")
        self.world.forgeries.ids.add(id)
        made = headers(Context(id=id, time=self.world.kernel.now), message.type_name, "/stolen")
        record = Outgoing(topic, key, self.world.codec.encode(message), made)
        record = self._proved(record, message, stolen)
        self.world.cluster.write(self.world.cluster.check([record]))

    def _proved(self, record: Outgoing, message: Any, stolen: str) -> Outgoing:
        """With nothing, with the host's own proof, or with that and the other's name in it."""
        how = self.rng.choice(("none", "own", "renamed"))
        if how == "none":
            return record
        proved = proofs_of(stolen).add(record, msgspec.structs.replace(message, host=stolen))
        if how == "own":
            return proved
        renamed = proved.headers[HEADER].replace(f":{stolen}:", f":{message.host}:")
        return Outgoing(record.topic, record.key, record.value, {**proved.headers, HEADER: renamed})

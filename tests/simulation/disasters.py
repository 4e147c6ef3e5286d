"""Faults of a whole site: long outages, logs that are restored, refuse, forget or are another's,
damaged files, clocks that are far off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.compute.metadata import MergeMetadata
from events import topics
from events.compute.server import Server
from events.log.contract import Outgoing
from events.log.memory import Cluster, Fault, Operation
from events.log.memory_cluster import Partition
from events.log.records import headers
from events.message import Context
from tests.simulation.fault_kind import FaultKind
from tests.simulation.forgeries import OVERSIZED
from tests.simulation.kernel import SECOND
from tests.simulation.process import SESSION_S, Process

if TYPE_CHECKING:
    from tests.simulation.machines import Machine


class Outages(FaultKind):
    """The log, or all deciders, are away for longer than operations may take."""

    name = "outage"
    every_s = 15.0
    growth = 4.0
    away_until = 0

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        return Fault.UNAVAILABLE if self.world.kernel.now < self.away_until else None

    def visit(self) -> None:
        seconds = self.rng.choice((60.0, 130.0, 250.0, 700.0))
        self.world.observer.excused += int(seconds * SECOND)
        if self.rng.random() < 0.4:
            self.said(f"the log for {seconds} s")
            self.away_until = self.world.kernel.now + int(seconds * SECOND)
            return
        self.said(f"all deciders for {seconds} s")
        for process in self.world.deciders:
            process.crash()
            self.world.restart_later(process, seconds)


class RestoredLogs(FaultKind):
    """The log is restored from an older copy; snapshots, hosts and bookmarks stay as they are."""

    name = "restored"
    every_s = 12.0
    growth = 8.0

    def visit(self) -> None:
        written = len(self.world.cluster.written)
        lost = int(written * self.rng.choice((0.02, 0.1, 0.4)))
        self.said(f"without the last {lost} of {written} writes")
        self.world.restore(written - lost)


class DamagedFiles(FaultKind):
    """Snapshots are damaged, torn, or another machine's or partition's; deciders restart."""

    name = "files"
    every_s = 12.0
    growth = 1.3

    def visit(self) -> None:
        files = sorted(self.world.snapshots().rglob("*.snapshot"))
        if files:
            file, other = self.rng.choice(files), self.rng.choice(files)
            what = self.rng.choice(("damaged", "torn", "another's"))
            content = file.read_bytes() or b"-"
            if what == "damaged":
                at = self.rng.randrange(len(content))
                content = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
            elif what == "torn":
                content = content[: self.rng.randrange(len(content))]
            else:
                content = other.read_bytes()
            self.said(f"{file.parent.name}/{file.name} is {what}")
            file.write_bytes(content)
        process = self.rng.choice(self.world.deciders)
        if process.alive:
            process.crash()
            self.world.restart_later(process, self.rng.choice((1.0, 2 * SESSION_S)))


class FarClocks(FaultKind):
    """A machine's clock is off by more than any deadline."""

    name = "far clock"
    every_s = 10.0
    growth = 2.0

    def visit(self) -> None:
        process = self.rng.choice([*self.world.deciders, *self.world.agents, *self.world.apis])
        process.skew = int(self.rng.choice((-1500.0, -700.0, 0.0, 200.0, 900.0)) * SECOND)
        self.world.observer.ahead = max(self.world.observer.ahead, process.skew)
        self.world.observer.excused += max(0, -process.skew)  # deadlines pass so much later
        self.said(f"{process.name} is {process.skew / SECOND} s off")


class LostTopics(FaultKind):
    """A host's topic is deleted with all that it holds, and made later, empty."""

    name = "topics"
    every_s = 10.0
    growth = 2.0

    def visit(self) -> None:
        number = self.rng.randrange(len(self.world.agents))
        process = self.world.agents[number]
        missing = [one for one in self.world.machines_of[number] if self._is_there(one)]
        if not process.alive or not missing:
            return
        seconds = self.rng.choice((1.0, 20.0, 200.0))
        self.said(f"of {process.name} for {seconds} s")
        process.crash()
        for machine in missing:
            self.world.observer.forgiven.update(
                id
                for id, server in self.world.observer.servers().items()
                if server.host == machine.host
            )
            self.world.cluster.remove(topics.of_host(machine.host).name)
        self.world.kernel.after(seconds, self.heal)
        self.world.restart_later(process, seconds + 1.0)

    def _is_there(self, machine: Machine) -> bool:
        return topics.of_host(machine.host).name in self.world.cluster.topics

    def heal(self) -> None:
        for machine in self.world.machines:
            self.world.cluster.create(topics.of_host(machine.host))


class Bursts(FaultKind):
    """Hundreds of commands at once, while no decider runs: a backlog, and then large batches."""

    name = "burst"
    every_s = 12.0
    growth = 2.0
    made = 0

    def visit(self) -> None:
        servers = self.world.visible_servers()
        if not servers:
            return
        count = self.rng.choice((50, 300, 600))
        self.said(f"{count} commands")
        for process in self.world.deciders:
            if process.alive and self.rng.random() < 0.7:
                process.crash()
                self.world.restart_later(process, 10.0)
        records = []
        for n in range(count):
            self.made += 1
            server = self.rng.choice(servers)
            # Some are about nothing that is there, some have the id of another one.
            number = self.made - (n > 0 and self.rng.random() < 0.1)
            command = MergeMetadata(
                server_id=server.server_id, metadata={"burst": "x" * self.rng.choice((1, 200))}
            )
            id = f"burst-{number}"
            context = Context(id=id, time=self.world.kernel.now, request_id=f"req-{id}")
            made = headers(context, command.type_name, "/chronova/api")
            value = self.world.codec.encode(command)
            records.append(Outgoing(topics.commands("compute"), server.project_id, value, made))
        self.world.cluster.write(self.world.cluster.check(records))


class TooLarge(FaultKind):
    """Commands that lead to more than the log takes, as it says when it is to be written: a broker
    whose limit is lower than its settings say. They fail, and nothing that is decided with them."""

    name = "too large"
    every_s = 5.0
    made = 0
    takes = 8_000
    """Bytes. Facts about one server are a third of that."""

    def visit(self) -> None:
        self.world.cluster.fact_bytes_max = self.takes
        servers = self.world.visible_servers()
        if not servers:
            return
        self.made += 1
        self.said(f"number {self.made}")
        server = self.rng.choice(servers)
        records = [self._asked(server, f"beside-{self.made}-{n}", 1) for n in range(2)]
        many = self.takes // 200
        records.insert(1, self._asked(server, f"{OVERSIZED}{self.made}", many))
        self.world.cluster.write(self.world.cluster.check(records))

    def _asked(self, server: Server, id: str, count: int) -> Outgoing:
        values = {f"key-{n}": "x" * 200 for n in range(count)}
        command = MergeMetadata(server_id=server.server_id, metadata=values)
        context = Context(id=id, time=self.world.kernel.now, request_id=f"req-{id}", reply_to="0")
        made = headers(context, command.type_name, "/chronova/api")
        value = self.world.codec.encode(command)
        return Outgoing(topics.commands("compute"), server.project_id, value, made)


class Expired(FaultKind):
    """A host, or all deciders, are away for so long that the log drops work or reports unread."""

    name = "retention"
    every_s = 12.0
    growth = 2.0

    def visit(self) -> None:
        seconds = self.rng.choice((20.0, 200.0))
        if self.rng.random() < 0.5:
            number = self.rng.randrange(len(self.world.agents))
            away = [self.world.agents[number]]
            hosts = [machine.host for machine in self.world.machines_of[number]]
            sources = [(topics.dispatch(host), 0) for host in hosts]
        else:
            away = self.world.deciders
            name = topics.reports("compute")
            count = self.world.cluster.topics[name].partitions
            sources = [(name, number) for number in range(count)]
            self.world.observer.excused += int(seconds * SECOND)
        for process in away:
            process.crash()
            self.world.restart_later(process, seconds)
        self.world.kernel.after(seconds * 0.9, lambda: self._expire(sources))

    def _expire(self, sources: list[tuple[str, int]]) -> None:
        for source in sources:
            partition = self.world.cluster.partitions.get(source)
            if partition is not None and not self.world.faults.healed:
                self._drop(source, partition, self.rng.choice((0, 1, 5)))

    def _drop(self, source: tuple[str, int], partition: Partition, kept: int) -> None:
        over = max(0, len(partition.records) - kept)
        self.said(f"{over} records of {source[0]}/{source[1]}")
        for record in partition.records[:over]:
            # What was ordered is not done, or not known: its deadline ends it.
            message = self.world.codec.decode(record.value)
            self.world.observer.forgiven.add(getattr(message, "server_id", ""))
        del partition.records[:over]
        partition.first += over


class OtherLogs(FaultKind):
    """An agent is started with the settings of another site, and later with its own."""

    name = "another log"
    every_s = 12.0
    growth = 1.5
    other: Cluster | None = None

    def visit(self) -> None:
        process = self.rng.choice(self.world.agents)
        if not process.alive:
            return
        if self.other is None:
            self.other = self.world.cluster.another()
        seconds = self.rng.choice((10.0, 60.0, 300.0))
        self.said(f"{process.name} for {seconds} s")
        process.crash()
        process.cluster = self.other
        self.world.restart_later(process, 1.0)
        self.world.kernel.after(seconds, lambda: self._back(process))

    def _back(self, process: Process) -> None:
        if process.cluster is self.other:
            process.cluster = self.world.cluster
            process.crash()
            self.world.restart_later(process, 1.0)

    def heal(self) -> None:
        for process in self.world.agents:
            self._back(process)


DISASTERS: tuple[type[FaultKind], ...] = (
    Outages,
    RestoredLogs,
    DamagedFiles,
    FarClocks,
    LostTopics,
    Bursts,
    TooLarge,
    Expired,
    OtherLogs,
)

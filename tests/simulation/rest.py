"""What must be true once nothing goes wrong any more and everything has come to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.compute.create import CreateServers
from commands.compute.delete import DeleteServer
from commands.compute.power import StartServer, StopServer
from commands.compute.power_state import ReportPowerState
from commands.compute.reboot import RebootServer
from events import topics
from events.aggregate import AGGREGATES
from events.compute.server import Server
from events.compute.server import facts as f
from events.log.memory_cluster import Partition
from events.message import Command
from events.state_codec import encode_state
from handlers.compute.drivers.contract import PowerState
from handlers.decider import Decider
from tests.simulation import identity, images

if TYPE_CHECKING:
    from tests.simulation.world import World

POWER = f"chronova.{ReportPowerState.type_name}"
"""Comes all the time and mostly says nothing new. A decider notes it as read when it is idle."""

WISHES: dict[type[Command], str] = {
    CreateServers: "active",
    StartServer: "active",
    RebootServer: "active",
    StopServer: "stopped",
    DeleteServer: "deleted",
}
"""The vm_state that a command asks for."""

OWN_WAYS = frozenset(
    fact.type_name for fact in (f.GuestHalted, f.GuestAdopted, f.OperationTimedOut)
)

ASKED = frozenset(
    fact.type_name
    for fact in (f.StartRequested, f.StopRequested, f.RebootRequested, f.DeletionRequested)
)

MEANT = {
    "active": (PowerState.RUNNING,),
    "stopped": (PowerState.SHUTDOWN, PowerState.CRASHED),
}
"""What the guest of a server in this state does."""


def in_flight(world: World) -> tuple[str, str]:
    """Something that has not ended: the server it is about, and what it is; empty: nothing."""
    for (name, id), state in world.observer.states.items():
        if name == "server" and state is not None and state.task_state is not None:
            return id, f"server {id} is {state.vm_state}, {state.task_state}"
    if uploading := images.under_way(world):
        return "", uploading
    undecided = _undecided(world)
    if undecided:
        return "", undecided
    for source, partition in world.cluster.partitions.items():
        if source[0].endswith(".events") and world.tables.places[source].offset < partition.end:
            return "", f"events of {source} are not projected"
    for process in world.agents:
        if process.agent is None or not process.agent.at_rest():
            return "", f"{process.name} has work to do"
        for topic, offset in process.agent.reached().items():
            if _more(world.cluster.partitions[topic, 0], offset):
                return "", f"{process.name} has not read {topic} to its end"
    return "", ""


def _undecided(world: World) -> str:
    """A partition that is not owned, or has something to take or to deliver."""
    deciders = [process.decider for process in world.deciders if process.decider is not None]
    for topic, number in world.cluster.partitions:
        if not topic.endswith(".commands"):
            continue
        domain = topic.removesuffix(".commands")
        if not any(_level(world, decider, domain, number) for decider in deciders):
            return f"{topic}/{number} has inputs or effects on their way"
    return ""


def _more(partition: Partition, offset: int) -> bool:
    """Whether something lies there from that offset on. The log may have dropped what did."""
    return partition.end > max(offset, partition.first)


def _level(world: World, decider: Decider, domain: str, number: int) -> bool:
    owned = decider._ownership.owned.get((topics.commands(domain), number))
    if owned is None or not owned.deciding or owned.queue:
        return False
    inputs = {topic: world.cluster.partitions[topic, n] for topic, n in owned.sources}
    behind = any(_more(one, owned.polled.get(topic, 0)) for topic, one in inputs.items())
    journal = world.cluster.partitions[owned.journal_key]
    delivered, held = decider._outbox.progress(owned.journal_key)
    return not behind and not held and delivered == owned.partition.offset - 1 <= journal.end - 1


def check(world: World) -> None:
    """Complain about all that does not hold. What has not arrived comes first: much may be wrong
    for the want of it."""
    for effect in undelivered(world):
        world.complain("undelivered", effect)
    _answered(world)
    _allocated(world)
    _as_folded(world)
    _projected(world)
    _running(world)
    _wished(world)
    images.check(world)
    identity.check(world)


def undelivered(world: World) -> list[str]:
    """What follows from facts and has not arrived."""
    partitions = {topic.name: topic.partitions for topic in world.cluster.topics.values()}
    return world.observer.arrivals.missing(
        world.observer.lines, partitions.__getitem__, world.handing_over
    )


def _wished(world: World) -> None:
    """A server is as its user last asked, unless something that ended otherwise is on record."""
    last: dict[str, tuple[int, Command]] = {}
    for id, command in world.acknowledged.items():
        answer = world.observer.answers.get(id)
        if answer is None or answer.status:
            continue
        position = 0 if isinstance(command, CreateServers) else answer.position
        for server_id in _wishes_about(command):
            if position >= last.get(server_id, (-1, command))[0]:
                last[server_id] = (position, command)
    for server_id, (position, command) in last.items():
        server = world.observer.states.get(("server", server_id))
        told = [name for at, name in world.observer.told.get(server_id, ()) if at > position]
        if server is None or server_id in world.blurred or any(map(_otherwise, told)):
            continue
        wanted = WISHES[type(command)]
        if server.vm_state != wanted:
            world.complain(
                "wish",
                f"{command.type_name} was accepted for {server_id}, which is {server.vm_state}",
                server_id,
            )


def _wishes_about(command: Command) -> list[str]:
    if isinstance(command, CreateServers):
        return [one.server_id for one in command.servers]
    if isinstance(command, StartServer | StopServer | RebootServer | DeleteServer):
        return [command.server_id]
    return []


def _otherwise(fact: str) -> bool:
    """Whether a fact says that the last wish did not come true, that a guest went its own way, or
    that something else was asked since: by a client who had no answer."""
    return fact.endswith("Failed") or fact in OWN_WAYS or fact in ASKED


def _answered(world: World) -> None:
    """Every acknowledged command has its answer, and what was accepted happened."""
    observer = world.observer
    for id, command in world.acknowledged.items():
        answer = observer.answers.get(id)
        if answer is None:
            world.complain("lost", f"{command.type_name} {id} was never answered")
        elif isinstance(command, CreateServers) and not answer.status:
            first = command.servers[0].server_id
            if ("server", first) not in observer.states:
                world.complain("lost", f"{id} was accepted, its server does not exist", first)


def _allocated(world: World) -> None:
    """Each server holds room on its own host and nowhere else; those without one hold none."""
    servers = world.observer.servers()
    held = {(server_id, host) for host, room in world.observer.held.items() for server_id in room}
    meant = {(id, server.host) for id, server in servers.items() if server.host is not None}
    states = world.observer.states
    for server_id, host in sorted(held - meant):
        if not states["allocation", server_id].withheld:
            world.complain("allocation", f"{server_id} holds room on {host} for nothing", server_id)
        elif server_id not in world.observer.forgiven:
            # Every host is there again, and has done all its work: only who never got the order to
            # remove a guest, because it was lost with its topic, has not said that it is gone.
            world.complain("withheld", f"{server_id} is withheld on {host} for ever", server_id)
    for server_id, host in sorted(meant - held):
        world.complain("allocation", f"{server_id} is on {host} and holds no room", server_id)


def _as_folded(world: World) -> None:
    """Every decider has in memory what the log says, to the byte."""
    for process in world.deciders:
        if process.decider is None:
            continue
        for domain in topics.DOMAINS:
            for number in range(world.cluster.topics[topics.events(domain)].partitions):
                _compare(world, process.name, process.decider, domain, number)


def _compare(world: World, name: str, decider: Decider, domain: str, number: int) -> None:
    for aggregate in AGGREGATES.values():
        if aggregate.domain != domain:
            continue
        states = decider.states(domain, number, aggregate.name)
        for id, state in (states or {}).items():
            folded = world.observer.states.get((aggregate.name, id))
            if folded is None or encode_state(folded) != encode_state(state):
                world.complain(
                    "state", f"{name} has another {aggregate.name} {id} than the log says", id
                )


def _projected(world: World) -> None:
    """The rows are those of the fold, and no more."""
    model, rows = world.tables.model, world.tables.rows
    for (name, id), state in world.observer.states.items():
        if name not in model.projected or state is None:
            continue
        row, encoded, _ = rows.get((name, id), ({}, b"", 0))
        if encoded != encode_state(state) or row != model.projected[name].row(state):
            world.complain("projection", f"the row of {name} {id} is not what the log says", id)
    for name, id in rows:
        if world.observer.states.get((name, id)) is None:
            world.complain("projection", f"there is a row of {name} {id}, which never was", id)


def _is_shown(world: World, host: str, server_id: str) -> bool:
    """Whether the operator is told of a guest that nobody will remove."""
    return world.observer.states.get(("unknown_guest", f"{host}/{server_id}")) is not None


def _running(world: World) -> None:
    """Guests are where and as the servers say, and there are no others."""
    servers = world.observer.servers()
    for machine in world.machines:
        for server_id, guest in machine.hypervisor.guests.items():
            server = servers.get(server_id)
            if not guest.defined or server_id in world.blurred:
                continue  # files that could not be removed: nothing runs
            if server_id in world.observer.forgiven and _is_shown(world, machine.host, server_id):
                continue  # its host's topic was lost, and it removes nothing for an old order
            if server is None or server.host != machine.host:
                world.complain(
                    "guest", f"{machine.host} has a guest {server_id}, which is not its", server_id
                )
            elif (meant := MEANT.get(server.vm_state)) is not None and guest.state not in meant:
                world.complain(
                    "guest",
                    f"server {server_id} is {server.vm_state}, its guest {guest.state.name}",
                    server_id,
                )
    for server_id, server in servers.items():
        _has_guest(world, server_id, server)


def _has_guest(world: World, server_id: str, server: Server) -> None:
    if server.vm_state not in MEANT or server_id in world.blurred:
        return
    machine = next(one for one in world.machines if one.host == server.host)
    guest = machine.hypervisor.guests.get(server_id)
    if guest is None or not guest.defined:
        world.complain("guest", f"server {server_id} has no guest on {server.host}", server_id)
    elif guest.generation != server.generation:
        world.complain(
            "guest",
            f"the guest of {server_id} is of attempt {guest.generation}, not {server.generation}",
            server_id,
        )

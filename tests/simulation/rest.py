"""What must be true once nothing goes wrong any more and everything has come to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.compute.create import CreateServers
from commands.compute.power_state import ReportPowerState
from events import topics
from events.aggregate import AGGREGATES
from events.compute.server import Server
from events.state_codec import encode_state
from handlers.compute.drivers.contract import PowerState
from handlers.decider import Decider

if TYPE_CHECKING:
    from tests.simulation.world import World

POWER = f"chronova.{ReportPowerState.type_name}"
"""Comes all the time and mostly says nothing new. A decider notes it as read when it is idle."""

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
            if offset < world.cluster.partitions[topic, 0].end:
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


def _level(world: World, decider: Decider, domain: str, number: int) -> bool:
    owned = decider._ownership.owned.get((topics.commands(domain), number))
    if owned is None or not owned.deciding or owned.queue:
        return False
    ends = {topic: world.cluster.partitions[topic, n].end for topic, n in owned.sources}
    behind = any(owned.polled.get(topic, 0) < end for topic, end in ends.items())
    journal = world.cluster.partitions[owned.journal_key]
    delivered, held = decider._outbox.progress(owned.journal_key)
    return not behind and not held and delivered == owned.partition.offset - 1 <= journal.end - 1


def check(world: World) -> None:
    """Complain about all that does not hold."""
    _answered(world)
    _allocated(world)
    _as_folded(world)
    _projected(world)
    _running(world)


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
    for server_id, host in sorted(held - meant):
        world.complain("allocation", f"{server_id} holds room on {host} for nothing", server_id)
    for server_id, host in sorted(meant - held):
        world.complain("allocation", f"{server_id} is on {host} and holds no room", server_id)


def _as_folded(world: World) -> None:
    """Every decider has in memory what the log says, to the byte."""
    for process in world.deciders:
        if process.decider is None:
            continue
        for domain in ("compute", "fleet"):
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


def _running(world: World) -> None:
    """Guests are where and as the servers say, and there are no others."""
    servers = world.observer.servers()
    for machine in world.machines:
        for server_id, guest in machine.hypervisor.guests.items():
            server = servers.get(server_id)
            if not guest.defined:
                continue  # files that could not be removed: nothing runs
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
    if server.vm_state not in MEANT:
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

"""What the processes run: the real roles, wired as ``chronova/roles`` wires them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from chronova.membership import Say
from chronova.pinned_log import pin
from events import topics
from events.fleet.heartbeat import COMPUTE, CONDUCTOR, PROJECTOR
from events.log.contract import LogError
from handlers.compute.agent import Agent
from handlers.compute.drivers.contract import DriverError
from handlers.compute.presence import Presence
from handlers.decider import Decider
from handlers.decider.loop import RETRY_S
from handlers.performer.witness import Witness
from handlers.scheduler import LivenessMonitor
from tests.parts.proofs import proofs_of
from tests.simulation.builds import Member
from tests.simulation.machines import Machine, fetch_for
from tests.simulation.process import Process, Stop, TaskPool

WAIT_S = 30.0
REPORT_INTERVAL_S = 10.0
SERVICE_DOWN_S = 60.0
INVENTORY_EVERY_S = 60.0
POWER_SYNC_S = 60.0


def decider(process: Process) -> None:
    """``chronova/roles/decider.py``."""
    world = process.world
    folder = world.snapshot_folder(process.name)
    member = _member(process, CONDUCTOR)
    one = Decider(
        process.log,
        topics.DOMAINS,
        snapshots=folder,
        clock=process.clock,
        codec=process.codec,
        handing_over=world.handing_over,
        threaded=False,
        owner=process.log.process,
    )
    monitor = LivenessMonitor(
        process.log,
        process.codec,
        lambda: one.states("fleet", 0, "host"),
        name=process.name,
        service_down_time_s=SERVICE_DOWN_S,
        report_interval_s=REPORT_INTERVAL_S,
        clock=process.monotonic,
        wall_clock=process.clock,
        new_id=process.new_id,
        every_s=5.0,
    )
    stop: Any = Stop(process)
    process.spawn(lambda: monitor.run(stop))
    process.decider = one
    while not process.stopping:
        try:
            one.step(WAIT_S)
        except LogError as error:
            world.note(process.name, f"log away: {error}")
            process.pause(RETRY_S)
    one.close()
    if member is not None:
        member.leave()
    process.end()


def _member(process: Process, binary: str, say: Say | None = None) -> Member | None:
    """Announce the process and keep that up; only where versions are mixed."""
    if not process.world.upgrading:
        return None
    member = Member(process, binary, say)
    member.enter()
    if say is None:
        process.spawn(member.keep)
    return member


def agent(machines: list[Machine], process: Process) -> None:
    """``chronova/roles/agent.py``, for the agent of these machines."""
    world = process.world
    name = machines[0].host
    drivers = {machine.host: machine.new_driver(process) for machine in machines}
    for host, driver in drivers.items():
        pin(world.host_folder(host), host, process.cluster.identity, driver)
    for machine in machines:
        if process.cluster is not world.cluster and machine.holds_guests():
            world.complain("foreign", f"{machine.host} serves another log, and holds guests")
    witness = Witness(process.log, machines[0].witness, process.clock, save_every=0)
    while True:
        try:
            anew = witness.went_back()
            break
        except LogError as error:
            world.note(process.name, f"log away: {error}")
            process.pause(RETRY_S)
    proofs = proofs_of(*drivers)
    presence = Presence(
        witness,
        name,
        drivers,
        {machine.host: machine.identity for machine in machines},
        clock=process.clock,
        new_id=process.new_id,
        codec=process.codec,
        proofs=proofs,
    )
    member = _member(process, COMPUTE, presence.beat)
    one = Agent(
        process.log,
        name,
        drivers,
        partial(fetch_for, process),
        threads=0,
        clock=process.clock,
        pause=process.pause,
        new_id=process.new_id,
        codec=process.codec,
        pool=TaskPool(process),
        keeper=machines[0].keeper,
        appender=witness,
        anew=anew,
        proofs=proofs,
    )
    beat = presence.beat if member is None else lambda: member.say(ending=False)
    process.spawn(lambda: _keep_up(process, one, presence, beat))
    process.agent = one
    while not process.stopping:
        if any(machine.holder is not process for machine in machines):
            process.fenced = True  # a real host's lock keeps the second one out
            process.end()
            return
        try:
            one.step(WAIT_S)
        except LogError as error:
            world.note(process.name, f"log away: {error}")
            process.pause(RETRY_S)
    one.close()
    with suppress(LogError):
        presence.end()
    process.said_at = None
    process.end()


def _keep_up(process: Process, one: Agent, presence: Presence, beat: Callable[[], None]) -> None:
    registered = False
    inventory, power = process.monotonic(), process.monotonic() - POWER_SYNC_S
    while not process.stopping:
        try:
            if not registered:
                presence.register()
                registered = True
            beat()
            now = process.monotonic()
            if now - inventory >= INVENTORY_EVERY_S:
                inventory = now
                process.codec.levels.check()
                presence.report_changes()
            if now - power >= POWER_SYNC_S:
                power = now
                one.sync_power()
        except (LogError, DriverError) as error:
            process.world.note(process.name, f"presence: {error}")
        process.pause(REPORT_INTERVAL_S if registered else 1.0)


def projector(process: Process) -> None:
    """``projections/projector.py`` without Postgres: the real fold, rows in memory."""
    tables = process.world.tables
    member = _member(process, PROJECTOR)
    reader = process.log.reader(tables.starts())
    tables.begin()
    while not process.stopping:
        try:
            records = reader.poll(WAIT_S, 1 + int(process.world.kernel.rng.random() * 50))
        except LogError:
            process.pause(RETRY_S)
            continue
        tables.project(records)
    if member is not None:
        member.leave()
    process.end()

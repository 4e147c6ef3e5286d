"""The faults: each is inflicted, mended where nobody else would, and leaves a running site."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable

import psutil

from commands.compute import limits
from tests.chaos.victim import Victim, frozen, send

Fault = Callable[[Victim, random.Random], None]
GRACE_S = 25.0
ROLES = ("decider", "projector", "agent", "api", "supervisor")

_never = threading.Event()


def kill_role(role: str) -> Fault:
    """kill -9 of a role; its supervisor starts it again."""

    def kill(victim: Victim, chance: random.Random) -> None:
        victim.process(role).kill()

    return kill


def kill_worker(victim: Victim, chance: random.Random) -> None:
    """kill -9 of one API worker; gunicorn starts it again."""
    workers = victim.workers()
    if workers:
        chance.choice(workers).kill()


def kill_supervisor(victim: Victim, chance: random.Random) -> None:
    """kill -9 of the supervisor: the roles live on, the next one takes them over."""
    process = victim.process("supervisor")
    process.kill()
    psutil.wait_procs([process], 10)
    victim.start_supervisor()


def kill_backend(victim: Victim, chance: random.Random) -> None:
    """kill -9 of one Postgres session: Postgres drops them all and recovers."""
    backends = victim.backends()
    if backends:
        send(chance.choice(backends), signal.SIGKILL)


def kill_postmaster(victim: Victim, chance: random.Random) -> None:
    """kill -9 of the postmaster."""
    victim.kill_postmaster()
    victim.await_postgres()


def kill_broker(victim: Victim, chance: random.Random) -> None:
    """kill -9 of the broker."""
    victim.kill_broker()
    victim.await_broker()


def freeze_role(role: str, seconds: float) -> Fault:
    """A role that is stopped for a while, as on a machine that swaps."""

    def freeze(victim: Victim, chance: random.Random) -> None:
        with frozen([victim.process(role)]):
            _never.wait(seconds)

    return freeze


def hang_up_the_agent(victim: Victim, chance: random.Random) -> None:
    """An agent that is gone for longer than a host has to answer a delete, and comes back."""
    with frozen([victim.process("agent")]):
        _never.wait(limits.DELETION / limits.SECOND + 10)


def terminate_role(role: str) -> Fault:
    """SIGTERM, as in a rolling restart: the role ends within a limit, and is back."""

    def terminate(victim: Victim, chance: random.Random) -> None:
        process = victim.process(role)
        process.terminate()
        gone, _ = psutil.wait_procs([process], GRACE_S)
        assert gone, f"{role} did not end within {GRACE_S:.0f} s: {process}"
        victim.process(role)

    return terminate


def terminate_starting_role(role: str) -> Fault:
    """SIGTERM, and once more as soon as the role has a new process: it is not ready yet."""
    terminate = terminate_role(role)

    def terminate_twice(victim: Victim, chance: random.Random) -> None:
        for _ in range(2):
            terminate(victim, chance)

    return terminate_twice


def stop_postgres(victim: Victim, chance: random.Random) -> None:
    """Postgres shut down for a while."""
    with victim.postgres_stopped():
        _never.wait(victim.away_s)


def freeze_postgres(victim: Victim, chance: random.Random) -> None:
    """Postgres frozen for a while."""
    with victim.postgres_frozen():
        _never.wait(victim.away_s)


def stop_broker(victim: Victim, chance: random.Random) -> None:
    """The broker shut down for a while."""
    with victim.broker_stopped():
        _never.wait(victim.away_s)


def freeze_broker(victim: Victim, chance: random.Random) -> None:
    """The broker frozen for a while."""
    with victim.broker_frozen():
        _never.wait(victim.away_s)


KILLS: dict[str, Fault] = {
    **{f"kill {role}": kill_role(role) for role in ("decider", "projector", "agent", "api")},
    "kill worker": kill_worker,
    "kill supervisor": kill_supervisor,
    "kill backend": kill_backend,
    "kill postmaster": kill_postmaster,
}
RESTARTS: dict[str, Fault] = {
    f"restart {role}": terminate_role(role) for role in ("decider", "projector", "agent", "api")
}
STARTING: dict[str, Fault] = {
    f"restart starting {role}": terminate_starting_role(role)
    for role in ("decider", "projector", "agent", "api")
}
OUTAGES: dict[str, Fault] = {
    "stop postgres": stop_postgres,
    "freeze postgres": freeze_postgres,
    **{
        f"freeze {role}": freeze_role(role, 9.0)
        for role in ("decider", "projector", "agent", "api")
    },
}
LONG: dict[str, Fault] = {"hang up the agent": hang_up_the_agent}
ON_KAFKA: dict[str, Fault] = {"kill broker": kill_broker}
OUTAGES_ON_KAFKA: dict[str, Fault] = {"stop broker": stop_broker, "freeze broker": freeze_broker}


def faults(on_kafka: bool, outages: bool = True) -> dict[str, Fault]:
    """The faults that make sense on this log."""
    found = KILLS | RESTARTS | STARTING
    if on_kafka:
        found |= ON_KAFKA
    if outages:
        found |= OUTAGES
        if on_kafka:
            found |= OUTAGES_ON_KAFKA
    return found

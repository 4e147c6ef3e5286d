"""The API: the real bus in processes of their own, and requests that run there.

Each request is a task of the API's process, as it is a thread of a worker there. Its client waits
for what it comes to; when the process dies, the client has lost its connection. What a client is
told is compared with what the log says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from api.bus import Actor, Refused, Unavailable
from api.log_bus import LogBus
from events.message import Command
from projections.waiting import Reached
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

REQUEST_S = 60.0
"""How long a client waits for a response."""

UNDISTURBED = frozenset(("duplicate", "failure", "guests", "lost", "slow", "topics", "twin"))
"""Faults that give the API no reason to answer 503."""

TOO_LARGE = 413
"""Said before anything is written."""

Work = Callable[[Process], None]
"""What a request does in its process of the API."""


class Shown:
    """``api.log_bus.Waiter`` over the projections in memory: the real queue of who waits."""

    def __init__(self, world: World) -> None:
        self._reached = Reached()
        world.tables.shown.append(self._reached)
        self.advance(world)

    def advance(self, world: World) -> None:
        """Take over what the projections show already."""
        places = world.tables.places.items()
        self._reached.advance((source, place.position) for source, place in places)

    def wait(self, topic: str, partition: int, position: int, timeout_s: float) -> bool:
        """See ``Waiter``."""
        return self._reached.wait((topic, partition), position, timeout_s)

    def close(self) -> None:
        """Nothing to release."""


def serve(process: Process) -> None:
    """``chronova/roles/api.py`` without HTTP."""
    process.bus = LogBus(process.log, Shown(process.world), codec=process.codec)
    while not process.stopping:
        process.pause(1.0)
    process.bus.close()
    process.end()


class Asked:
    """The commands of one type that a request has sent."""

    def __init__(self) -> None:
        self.times = 0
        self.ids: list[str] = []
        """Ids of those that were written, in order."""


class Response:
    """What a request came to. ``status``: 0 accepted, 503, or the refusal's; None: the connection
    was lost or nothing came in time."""

    status: int | None = None


def request(client: Process, work: Work) -> Response:
    """Run ``work`` in a process of the API, and wait for what it comes to."""
    world, response = client.world, Response()
    ready = [one for one in world.apis if one.alive and one.bus is not None and not one.stopping]
    if not ready:
        client.pause(1.0)
        return response
    word, process = world.new_word(), world.kernel.rng.choice(ready)

    def run() -> None:
        try:
            work(process)
            response.status = 0
        except Refused as error:
            response.status = error.status
        except Unavailable:
            response.status = 503
        finally:
            world.kernel.say(word)

    task = process.spawn(run)
    until = client.monotonic() + REQUEST_S
    while not task.over and response.status is None and client.monotonic() < until:
        world.kernel.listen(until - client.monotonic(), {word})
    return response


def send(process: Process, command: Command, key: str, actor: Actor) -> None:
    """Send a command from within a request, as the API does. What comes back is what the log
    says."""
    world = process.world
    asked = world.asked.setdefault((actor.request_id, command.type_name), Asked())
    asked.times += 1
    world.note(process.name, f"asks {command.type_name} {actor.request_id}")
    try:
        process.bus.send(command, key, actor)
    except Refused as error:
        if error.status != TOO_LARGE:
            _compare(world, asked, error.status)
        raise
    except Unavailable as error:
        if not set(world.faults.names) - UNDISTURBED:
            world.complain("503", f"{command.type_name} {actor.request_id}: {error.detail}")
        raise
    _compare(world, asked, 0)


def _compare(world: World, asked: Asked, status: int) -> None:
    answer = world.observer.answers.get(asked.ids[-1] if asked.ids else "")
    if answer is None or answer.status != status:
        world.complain("told", f"{asked.ids} is told {status}, the log says {answer}")

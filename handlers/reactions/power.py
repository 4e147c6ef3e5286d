"""Power: what a host is told when a server is stopped, started or rebooted.

StopRequested    → host: StopGuest     → ServerStopped or StopFailed
StartRequested   → host: StartGuest    → ServerStarted or StartFailed
RebootRequested  → host: RebootGuest   → RebootStarted → ServerRebooted or RebootFailed
RebootTurnedHard → host: RebootGuest, hard
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.compute import limits
from commands.compute.guest import guest_of
from commands.compute.power import StartGuest, StopGuest
from commands.compute.reboot import RebootGuest
from commands.numbers import whole_number
from events.compute.server import Server
from events.compute.server import facts as f
from handlers.reaction import Dispatch, Follow, reacts


@reacts(f.StopRequested)
def stop(event: f.StopRequested, server: Server) -> Iterator[Follow]:
    """A guest that nobody asked for is not asked either."""
    if server.host is None:
        return
    work = StopGuest(
        server_id=server.server_id,
        project_id=server.project_id,
        generation=server.generation,
        operation=server.operation,
        grace_s=0 if event.unasked else _grace_s(server),
    )
    yield Dispatch(work, server.host)


def _grace_s(server: Server) -> int:
    """The image's ``os_shutdown_timeout`` where it says one, else the default."""
    asked = server.image.properties.get("os_shutdown_timeout", "") if server.image else ""
    return min(whole_number(asked, limits.SHUTDOWN_GRACE_S), limits.SHUTDOWN_GRACE_S)


@reacts(f.StartRequested)
def start(event: f.StartRequested, server: Server) -> Iterator[Follow]:
    """The guest is defined anew if the host lost it."""
    if server.host is None:
        return
    work = StartGuest(
        server_id=server.server_id,
        project_id=server.project_id,
        generation=server.generation,
        operation=server.operation,
        guest=guest_of(server),
    )
    yield Dispatch(work, server.host)


@reacts(f.RebootRequested, f.RebootTurnedHard)
def reboot(event: f.RebootRequested | f.RebootTurnedHard, server: Server) -> Iterator[Follow]:
    """Soft asks the guest, hard makes it anew from its definition."""
    if server.host is None:
        return
    hard = isinstance(event, f.RebootTurnedHard) or event.hard
    work = RebootGuest(
        server_id=server.server_id,
        project_id=server.project_id,
        generation=server.generation,
        operation=server.operation,
        hard=hard,
        timeout_s=(event.deadline - event.at) // limits.SECOND,
        guest=guest_of(server),
    )
    yield Dispatch(work, server.host)

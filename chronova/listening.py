"""The API's listening socket, held by the supervisor so that it outlives the API's process.

While the API is started again (a rolling restart, a kill -9) connections wait in the socket's queue
instead of being refused, and an orphaned worker that still holds the port does not keep the new
process from it. Without a supervisor, or when the port was taken at the time, the API binds
the port itself.
"""

from __future__ import annotations

import os
import socket

from chronova.settings import Settings

BACKLOG = 1024

_held: socket.socket | None = None


def hold(settings: Settings) -> bool:
    """Listen on the API's address, unless that is done already; False: another process does."""
    global _held
    if _held is None:
        family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
        try:
            _held = socket.create_server(
                (settings.bind, settings.port), family=family, backlog=BACKLOG
            )
        except OSError:
            return False
    return True


def taken(settings: Settings) -> bool:
    """Whether another process listens on the API's address."""
    if _held is not None:
        return False
    free = hold(settings)
    release()
    return not free


def release() -> None:
    """Stop listening: connections are refused, or the API's own process takes the port."""
    global _held
    if _held is not None:
        _held.close()
        _held = None


def address(settings: Settings) -> str:
    """What gunicorn is to bind: the socket that was held when this process was forked, or else
    the address. gunicorn closes the descriptor it is given, so it gets one of its own."""
    if _held is not None:
        return f"fd://{os.dup(_held.fileno())}"
    return f"{settings.bind}:{settings.port}"

"""Whether there is a Docker engine, asked of the engine itself.

Not by the command, which may be missing, nor by the client library, which leaves sockets behind
when nobody answers.
"""

from __future__ import annotations

import os
import socket

TIMEOUT_S = 5.0


def docker_answers() -> bool:
    """Whether the engine of DOCKER_HOST, else the usual one, answers a ping."""
    scheme, _, place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    try:
        if scheme == "unix":
            engine = socket.socket(socket.AF_UNIX)
            engine.settimeout(TIMEOUT_S)
        elif scheme == "tcp":
            host, _, port = place.partition(":")
            engine = socket.create_connection((host, int(port or 2375)), TIMEOUT_S)
        else:
            return False
        with engine:
            if scheme == "unix":
                engine.connect(place)
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in engine.recv(64)
    except (OSError, ValueError):
        return False

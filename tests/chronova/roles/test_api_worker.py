"""When a request is here whole, so that it gets a thread."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from chronova.roles.api_worker import BODY_BYTES, HEAD_BYTES, arrived

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    for end in (client, server):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * (HEAD_BYTES + BODY_BYTES))
    with client, server:
        yield client, server


@pytest.mark.parametrize(
    ("sent", "whole"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (POST + b"Content-Length: 3\r\n\r\nab", False),
        (POST + b"Content-Length: 3\r\n\r\nabc", True),
        (POST + b"content-length:3\r\n\r\nab", False),
        (POST + b"Content-Length: 3\r\n\r\nabcGET", True),
        # What takes longer to come than a thread should be kept from it.
        (POST + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES + 1), True),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", True),
        # The client waits for an answer before it sends its body.
        (POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", True),
        # gunicorn refuses what these are.
        (b"x" * HEAD_BYTES, True),
        (POST + b"Content-Length: three\r\n\r\n", True),
    ],
)
def test_what_is_looked_at_is_not_taken(
    pair: tuple[socket.socket, socket.socket], sent: bytes, whole: bool
) -> None:
    client, server = pair
    client.sendall(sent)
    assert arrived(server) is whole
    if sent:
        assert server.recv(len(sent)) == sent


def test_a_client_that_has_gone_is_not_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(b"GET")
    assert not arrived(server)
    server.recv(3)
    client.close()
    assert arrived(server)

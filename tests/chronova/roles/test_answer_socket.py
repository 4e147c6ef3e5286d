"""An answer that is longer than what is kept: its thread waits for the client, but not for ever."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from chronova.roles import pace
from chronova.roles.answer_socket import UNSENT_BYTES_MAX, AnswerSocket

READ_BYTES = 1024
STALLS = struct.pack("ll", 0, 200_000)
ANSWER = bytes(UNSENT_BYTES_MAX + 1)

Pair = tuple[AnswerSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The API's side of a connection, with a short time-out, and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(server.getsockname())
        with AnswerSocket.of(server.accept()[0]) as answering:
            answering.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, STALLS)
            yield answering, client


def test_who_reads_too_slowly_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte that was read began the time-out again, so the thread was held without end."""
    monkeypatch.setattr(pace, "GRACE_S", 0.5)
    monkeypatch.setattr(pace, "RATE_MIN", 1 << 30)
    answering, client = pair
    answering.setblocking(True)
    given_up = threading.Event()

    def read() -> None:
        until = time.monotonic() + 5
        with suppress(OSError):
            while not given_up.wait(0.001) and time.monotonic() < until:
                client.recv(READ_BYTES)
        client.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with pytest.raises(ConnectionResetError, match="too slowly"):
            answering.sendall(ANSWER)
    finally:
        given_up.set()
        reader.join()


def test_who_does_not_read_is_given_up(pair: Pair) -> None:
    with pytest.raises(ConnectionResetError, match="does not read"):
        pair[0].sendall(ANSWER)


def test_all_of_it_comes_behind_what_was_kept(pair: Pair) -> None:
    answering, client = pair
    received = bytearray()

    def read() -> None:
        while data := client.recv(1 << 20):
            received.extend(data)

    first, second = bytes([1]) * (8 << 20), bytes([2]) * (UNSENT_BYTES_MAX - 1)
    answering.sendall(first)
    assert answering.unsent
    reader = threading.Thread(target=read)
    reader.start()
    answering.sendall(second)
    assert not answering.unsent
    answering.shutdown(socket.SHUT_WR)
    reader.join()
    assert received == first + second

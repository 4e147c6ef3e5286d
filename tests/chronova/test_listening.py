"""The API's socket, held by the supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from chronova import listening
from chronova.settings import Settings


@pytest.fixture
def settings() -> Iterator[Settings]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    yield Settings(port=port)
    listening.release()


def test_what_is_held_is_given_as_a_descriptor_of_its_own(settings: Settings) -> None:
    assert listening.hold(settings)
    first, second = (int(listening.address(settings).removeprefix("fd://")) for _ in range(2))
    assert first != second
    os.close(first)
    with socket.socket(fileno=second) as listener:
        assert listener.getsockname() == ("127.0.0.1", settings.port)
        # Nobody accepts, and yet the client is not refused: it waits.
        socket.create_connection(("127.0.0.1", settings.port), 5).close()


def test_a_port_that_is_taken_is_left_to_the_api_itself(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.port)):
        assert not listening.hold(settings)
        assert listening.address(settings) == f"127.0.0.1:{settings.port}"
    assert listening.hold(settings)


def test_once_released_clients_are_refused(settings: Settings) -> None:
    listening.hold(settings)
    listening.release()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", settings.port), 5)

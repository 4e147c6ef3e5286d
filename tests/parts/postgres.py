"""A real Postgres for tests, wherever one can be had.

In this order: the URL in ``CHRONOVA_TEST_DATABASE``; testcontainers where a Docker engine
answers; else the embedded server from the wheel (``chronova.embedded.postgres``). The first is
somebody's: its tests use schemas of their own.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chronova.embedded.postgres import EmbeddedPostgres
from events.log.postgres import PostgresLog
from tests.parts.docker import docker_answers

ADDRESS = "CHRONOVA_TEST_DATABASE"
IMAGE = "postgres:18-alpine"


class PostgresServer(ABC):
    """A server that tests may also stop and kill. ``url`` stays the same throughout."""

    url: str

    @abstractmethod
    def stop(self) -> None:
        """Stop it cleanly and wait for its end."""

    @abstractmethod
    def start(self) -> None:
        """Start it again on its data, and wait until it answers."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a power cut would: recovery follows."""


class ForeignServer(PostgresServer):
    """A server that was there before: tests that need to stop one are skipped."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _refuse(self) -> None:
        pytest.skip(f"the server of {ADDRESS} is not ours to stop")

    stop = start = kill = _refuse


class EmbeddedServer(PostgresServer):
    """The server from the wheel, over a directory."""

    def __init__(self, directory: Path) -> None:
        self._server = EmbeddedPostgres(directory)
        self.url = self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()


class DockerServer(PostgresServer):
    """A server in a container, on a port of the host that a restart does not change."""

    def __init__(self, container: Any, port: int) -> None:
        self._container = container
        self.url = f"postgresql://postgres:chronova@127.0.0.1:{port}/postgres"

    def stop(self) -> None:
        self._container.stop(timeout=30)

    def start(self) -> None:
        self._container.start()
        wait_until_up(self.url)

    def kill(self) -> None:
        self._container.kill()


def wait_until_up(url: str, timeout_s: float = 60.0) -> None:
    """Returns once the server answers; raises ``LogUnavailable`` if it never does."""
    log = PostgresLog(url, schema="startup")
    try:
        log.ping(timeout_s)
    finally:
        log.close()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server for as long as the context lasts."""
    if url := os.environ.get(ADDRESS):
        yield ForeignServer(url)
    elif docker_answers():
        with _in_docker() as server:
            yield server
    else:
        # Not pytest's directory: a socket's path has to be short.
        directory = Path(tempfile.mkdtemp(prefix="chronova-test-"))
        server = EmbeddedServer(directory)
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(directory)


@contextmanager
def _in_docker() -> Iterator[PostgresServer]:
    from testcontainers.core.container import DockerContainer

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    container = (
        DockerContainer(IMAGE).with_env("POSTGRES_PASSWORD", "chronova").with_bind_ports(5432, port)
    )
    with container:
        server = DockerServer(container.get_wrapped_container(), port)
        wait_until_up(server.url)
        yield server

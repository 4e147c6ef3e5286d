"""A real Kafka broker for tests, wherever one can be had.

In this order: the address in ``CHRONOVA_TEST_KAFKA``; testcontainers where a Docker engine
answers; else the jars from Maven Central (``chronova.embedded.broker``). The broker starts
empty, except for the first, which is somebody's: its tests use names of their own.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chronova.embedded import broker as embedded
from chronova.embedded.broker_properties import SETTINGS
from chronova.embedded.jars import KAFKA_VERSION
from events.log.contract import LogUnavailable
from events.log.kafka import KafkaLog
from tests.parts.docker import docker_answers

ADDRESS = "CHRONOVA_TEST_KAFKA"


class Broker(ABC):
    """A broker that tests may also stop and kill. ``bootstrap`` stays the same throughout."""

    bootstrap: str

    @abstractmethod
    def stop(self) -> None:
        """Stop it cleanly and wait for its end."""

    @abstractmethod
    def start(self) -> None:
        """Start it again on its port and data, and wait until it answers."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once (SIGKILL), in the middle of whatever it does."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay, nothing answers."""

    @abstractmethod
    def resume(self) -> None:
        """Let a frozen one go on (SIGCONT)."""


class ForeignBroker(Broker):
    """A broker that was there before: tests that need to stop one are skipped."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def stop(self) -> None:
        pytest.skip(f"the broker of {ADDRESS} is not ours to stop")

    start = kill = pause = resume = stop


class EmbeddedBroker(Broker):
    """The development broker in a directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.bootstrap = embedded.start(data_dir)

    def stop(self) -> None:
        embedded.stop(self._data_dir)

    def start(self) -> None:
        embedded.start(self._data_dir)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        process = embedded.running(self._data_dir)
        assert process is not None, "the broker is not running"
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait(10)


class DockerBroker(Broker):
    """Kafka in a container, on a port of the host that a restart does not change."""

    def __init__(self, container: Any, port: int) -> None:
        self._container = container.get_wrapped_container()
        self.bootstrap = f"localhost:{port}"
        _wait_until_it_answers(self.bootstrap)

    def stop(self) -> None:
        self._container.stop()

    def start(self) -> None:
        self._container.start()
        _wait_until_it_answers(self.bootstrap)

    def kill(self) -> None:
        self._container.kill()

    def pause(self) -> None:
        self._container.pause()

    def resume(self) -> None:
        self._container.unpause()


@contextmanager
def kafka_broker() -> Iterator[Broker]:
    """A broker that answers, gone at the end."""
    address = os.environ.get(ADDRESS)
    if address:
        yield ForeignBroker(address)
    elif docker_answers():
        with _container() as broker:
            yield broker
    else:
        with tempfile.TemporaryDirectory(prefix="chronova-broker-") as scratch:
            data_dir = Path(scratch)
            try:
                yield EmbeddedBroker(data_dir)
            finally:
                embedded.stop(data_dir)


def collect_refused_sockets() -> None:
    """At the end of a test that took a broker away: kafka-python 3.0.12 leaves a socket behind
    for each connection that was refused (kafka/net/inet.py), which must not be found, and
    warned of, in another test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def _container() -> Iterator[DockerBroker]:
    from testcontainers.core.container import DockerContainer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **SETTINGS,
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://localhost:{port}",
    }
    container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(9092, port)
    for name, value in settings.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        yield DockerBroker(container, port)


def _wait_until_it_answers(bootstrap: str, timeout_s: float = 60.0) -> None:
    log = KafkaLog(bootstrap)
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            try:
                return log.ping(timeout_s=1.0)
            except LogUnavailable:
                assert time.monotonic() < deadline, f"{bootstrap} does not answer"
    finally:
        log.close()

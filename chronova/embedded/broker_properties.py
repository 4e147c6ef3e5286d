"""The development broker's ``server.properties``: small, on loopback, for one user with a password.

The file is written at each start of the broker: what names the directory follows it, the ports
stay. It holds the password in clear and is closed to others.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

USER = "chronova"

SETTINGS = {
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    # Not for transactions: the topic in which the epochs of journals' owners are kept.
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # The cleaner's buffer would not fit the heap (128 MiB).
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    # Who is a member now is written at once, while members wait for it (5 ms later).
    "group.coordinator.append.linger.ms": "0",
    # A broker killed and started again is itself again after 1.5 s (9 s).
    "broker.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "1500",
}
"""A single broker that is small, starts quickly and soon notices the dead. In brackets: Kafka's
own defaults."""

OPEN = {"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"}
"""Listeners that ask for no password."""

_LOGIN = "listener.name.{}.plain.sasl.jaas.config"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


class BrokerError(Exception):
    """The broker cannot be had. Its text is one sentence for a user."""


def write(
    data_dir: Path, port: int, more: Mapping[str, str], password: str, may_move: bool
) -> None:
    """Write the file of a broker that does not run; what it held is kept but for what is given.

    Raises ``BrokerError`` for a port that is taken.
    """
    path = data_dir / "server.properties"
    settings = read(path) if path.exists() else {**SETTINGS, **OPEN, **more}
    before = port_of(path) if path.exists() else 0
    taken = before != 0 and port in (0, before) and not _free(before)
    if taken and not may_move:
        raise BrokerError(f"Port {before} of 127.0.0.1 is taken by another process.")
    if taken or before == 0 or port not in (0, before):
        settings |= {**_listeners(*_free_ports(0 if taken else port)), **more}
    if password:
        settings |= _secured(password)
    settings["log.dirs"] = str(data_dir / "log")
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    fresh = path.with_name("server.properties.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def read(path: Path) -> dict[str, str]:
    """Names and values of the file."""
    lines = path.read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def port_of(path: Path) -> int:
    """The port that clients connect to. Raises ``BrokerError``."""
    address = read(path).get("advertised.listeners", "")
    if not address.rpartition(":")[2].isdigit():
        raise BrokerError(f"{path} names no listener: remove it to have it written again.")
    return int(address.rpartition(":")[2])


def client_options(password: str) -> dict[str, str]:
    """What a client of a broker with this password needs, in kafka-python's words."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": USER,
        "sasl_plain_password": password,
    }


def options_of(path: Path) -> dict[str, str]:
    """What a client of the broker with this file needs; nothing for one without a password."""
    found = re.search(f'user_{USER}="([^"]*)"', read(path).get(_LOGIN.format("plaintext"), ""))
    return client_options(found[1]) if found else {}


def _secured(password: str) -> dict[str, str]:
    """Both listeners ask for the password: the controller's takes requests of clients too."""
    login = f'{_PLAIN} required username="{USER}" password="{password}" user_{USER}="{password}";'
    return {
        "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        _LOGIN.format("plaintext"): login,
        _LOGIN.format("controller"): login,
    }


def _listeners(port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "inter.broker.listener.name": "PLAINTEXT",
    }


def _free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _free_ports(port: int) -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each, wanted in ((first, port), (second, 0)):
            try:
                each.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise BrokerError(f"Port {wanted} of 127.0.0.1 is taken: {error}.") from error
        return first.getsockname()[1], second.getsockname()[1]

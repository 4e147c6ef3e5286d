"""The development broker: started once, found again, stopped, and clear about what is wrong."""

from __future__ import annotations

import shutil
import socket
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova.embedded import broker, jars
from chronova.embedded.broker_properties import BrokerError, client_options, read
from events.log.contract import LogError, LogUnavailable
from events.log.kafka import KafkaLog
from tests.parts.broker import collect_refused_sockets


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    broker.stop(tmp_path)
    collect_refused_sockets()


def test_the_version_of_the_jars_is_that_of_the_pom() -> None:
    pom = ElementTree.parse(jars.POM)
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    kafka = pom.find("m:dependencies/m:dependency[m:artifactId='kafka_2.13']/m:version", names)
    assert kafka is not None
    assert kafka.text == jars.KAFKA_VERSION


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_it_keeps_its_port_and_its_cluster(data_dir: Path) -> None:
    first = broker.start(data_dir)
    process = broker.running(data_dir)
    assert broker.start(data_dir) == first
    assert broker.running(data_dir) == process
    log = KafkaLog(first)
    identity = log.identity()
    assert broker.stop(data_dir)
    assert broker.running(data_dir) is None
    assert not broker.stop(data_dir)
    with pytest.raises(LogUnavailable):
        log.ping(0.5)
    assert broker.start(data_dir) == first
    log.ping(10.0)
    assert log.identity() == identity
    log.close()


def test_it_listens_on_loopback_only(data_dir: Path) -> None:
    broker.start(data_dir)
    process = broker.running(data_dir)
    assert process is not None
    addresses = {each.laddr.ip for each in process.net_connections() if each.status == "LISTEN"}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_a_taken_port_is_said_so(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=str(port)):
            broker.start(data_dir, port)


def test_a_broker_that_ends_at_its_start_is_said_so(data_dir: Path) -> None:
    with pytest.raises(BrokerError, match=r"broker\.log"):
        broker.start(data_dir, settings={"num.io.threads": "0"})


def test_a_stale_pid_file_is_nobody(data_dir: Path) -> None:
    (data_dir / "broker.pid").write_text("1")
    assert broker.running(data_dir) is None
    assert not broker.stop(data_dir)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_only_who_knows_the_password_is_let_in(data_dir: Path) -> None:
    address = broker.start(data_dir, password="of-a-test")
    assert (data_dir / "server.properties").stat().st_mode & 0o077 == 0
    ports = {address.rpartition(":")[2]}
    ports |= {read(data_dir / "server.properties")["controller.quorum.voters"].rpartition(":")[2]}
    assert len(ports) == 2
    for port in ports:
        for options in ({}, client_options("another")):
            log = KafkaLog(f"127.0.0.1:{port}", client_options=options)
            with pytest.raises(LogError):
                log.ping(2.0)
            log.close()
    log = KafkaLog(address, client_options=client_options("of-a-test"))
    log.ping(10.0)
    log.close()
    broker.stop(data_dir)
    assert broker.start(data_dir) == address  # it knows its own password


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_copy_is_a_broker_of_its_own_and_a_moved_one_starts(tmp_path: Path) -> None:
    original, copy, moved = (tmp_path / name for name in ("original", "a copy", "moved"))
    try:
        address = broker.start(original)
        shutil.copytree(original, copy)
        assert broker.running(copy) is None
        with pytest.raises(BrokerError):  # roles that run know the old address
            broker.start(copy)
        other = broker.start(copy, may_move=True)
        assert other != address
        assert read(copy / "server.properties")["log.dirs"] == str(copy / "log")
        assert broker.running(original) is not None
        broker.stop(copy)
        broker.stop(original)
        original.rename(moved)
        assert broker.start(moved, may_move=True) == address
    finally:
        for folder in (original, copy, moved):
            broker.stop(folder)
        collect_refused_sockets()

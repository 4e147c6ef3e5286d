"""A development Kafka broker that needs no Docker: jars from Maven Central, one KRaft node.

For ``make kafka`` and the tests. It listens on loopback only, keeps one replica of everything
and does not flush each write, so it survives a killed process and not a lost disk: a site
runs brokers of its own.

Everything of one broker lies in its data directory: ``server.properties`` (whose port stays
the same over restarts), ``log/``, ``broker.log`` and ``broker.pid``; paths in it are written at
each start, so that the directory can be moved. With a password nobody else on the machine can use
the broker: loopback is open to every local user. Starting twice is harmless. A crash halfway
leaves at worst a started process with its pid file, which the next ``start`` or ``stop`` finds;
the jars are moved into their cache only when they are complete.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from chronova.embedded import jars
from chronova.embedded.broker_properties import BrokerError, options_of, port_of, write
from chronova.ending import end
from events.log.contract import LogUnavailable
from events.log.kafka import KafkaLog

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0

_JVM_OPTIONS = (
    "-Xms96m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # half the CPU of the first minutes, and a third less memory
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
)


def start(
    data_dir: Path,
    port: int = 0,
    timeout_s: float = START_TIMEOUT_S,
    settings: Mapping[str, str] | None = None,
    client_options: Mapping[str, object] | None = None,
    password: str = "",
    may_move: bool = False,
) -> str:
    """Start the broker of ``data_dir``, or find it running; its address as ``host:port``.

    Port 0 means the port it had before, or else a free one; with ``may_move`` also a free one where
    its own is taken. ``settings`` go into its ``server.properties`` at the first start;
    ``client_options`` are what a client needs with them. ``password``: of the one user it lets in
    (``client_options``); none: as it was. Returns when it answers. Raises ``BrokerError``, also
    when there is no Java and none can be installed.
    """
    data_dir = data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    with _lock(data_dir):
        if running(data_dir) is None:
            write(data_dir, port, settings or {}, password, may_move)
        properties = data_dir / "server.properties"
        if port not in (0, port_of(properties)):
            raise BrokerError(
                f"A broker runs in {data_dir} on port {port_of(properties)}: stop it first."
            )
        client_options = client_options or options_of(properties)
        bootstrap = f"127.0.0.1:{port_of(properties)}"
        process = running(data_dir)
        if process is None:
            process = _spawn(data_dir, properties)
        log = KafkaLog(bootstrap, client_options=client_options)
        try:
            _wait_until_it_answers(process, log, properties, timeout_s)
        finally:
            log.close()
    return bootstrap


def stop(data_dir: Path, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """Stop the broker of ``data_dir`` and wait for its end; False if none was running."""
    process = running(data_dir)
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGCONT)  # a stopped process would not see the next one
    end(process, timeout_s)
    _pid_file(data_dir).unlink(missing_ok=True)
    return True


def running(data_dir: Path) -> psutil.Process | None:
    """The broker's process, if it lives and is that of this data directory."""
    data_dir = data_dir.resolve()
    try:
        process = psutil.Process(int(_pid_file(data_dir).read_text()))
        ours = str(data_dir / "server.properties") in process.cmdline()
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.ZombieProcess):
        return None
    return process if ours else None


def _spawn(data_dir: Path, properties: Path) -> psutil.Process:
    try:
        java, libs = jars.java(), jars.kafka_libs()
    except jars.Missing as error:
        raise BrokerError(str(error)) from error
    classpath = f"{libs}/*"
    with (data_dir / "broker.log").open("ab") as output:
        if not (data_dir / "log" / "meta.properties").exists():
            _format(java, classpath, properties, output.fileno())
        process = subprocess.Popen(
            [java, *_JVM_OPTIONS, "-cp", classpath, "kafka.Kafka", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=data_dir,
            start_new_session=True,
        )
    _pid_file(data_dir).write_text(str(process.pid))
    process.returncode = 0  # a daemon: nobody waits for it here, so nobody need be warned
    return psutil.Process(process.pid)


def _format(java: str, classpath: str, properties: Path, output: int) -> None:
    """Write the storage's ``meta.properties`` with a cluster id of its own."""
    # Kafka's id is a UUID in base64. One that begins with "-" would be taken for an option.
    cluster_id = "-"
    while cluster_id.startswith("-"):
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [java, "-Xmx128m", "-cp", classpath, "kafka.tools.StorageTool", "format"]
    command += ["--cluster-id", cluster_id, "--config", str(properties), "--ignore-formatted"]
    try:
        subprocess.run(command, check=True, stdout=output, stderr=output, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise BrokerError(
            f"The broker's storage could not be made: see {properties.parent}/broker.log."
        ) from error


def _wait_until_it_answers(
    process: psutil.Process, log: KafkaLog, properties: Path, timeout_s: float
) -> None:
    deadline = time.monotonic() + timeout_s
    port, see = port_of(properties), f"see {properties.with_name('broker.log')}."
    while True:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise BrokerError(f"The development broker ended at its start: {see}")
        if _listens(port):
            try:
                return log.ping(timeout_s=1.0)
            except LogUnavailable as error:
                last = str(error)
        else:
            last = "It does not listen yet."
        if time.monotonic() > deadline:
            raise BrokerError(
                f"The development broker did not answer within {timeout_s:.0f} s ({last}): {see}"
            )
        time.sleep(0.1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _pid_file(data_dir: Path) -> Path:
    return data_dir / "broker.pid"


@contextlib.contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    """One starter at a time: the second finds what the first has started."""
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

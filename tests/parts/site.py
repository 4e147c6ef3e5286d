"""A whole site in a folder of its own, brought up and forgotten by the command line.

Everything is as a user has it: ``chronova up`` starts the processes on a free port, and the real
clients read the site's ``clouds.yaml``. The database is one on ``CHRONOVA_TEST_DATABASE``; where a
Docker engine answers, log and database are containers; else ``up`` brings its own, as for a user.
A broker that is somebody's (``CHRONOVA_TEST_KAFKA``) is not used: a site's topics have fixed names.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import keystoneauth1.identity.v3
import keystoneauth1.session
import msgspec
import novaclient.client
import openstack
import pytest
from psycopg2.extensions import parse_dsn
from sqlalchemy import make_url

from chronova import credentials, health
from chronova.connections import open_site_log
from chronova.inspect.state import known_hosts
from chronova.settings import Settings, load
from events import topics
from events.log.contract import EARLIEST, Record
from tests.parts import openstack_shell
from tests.parts.broker import kafka_broker
from tests.parts.docker import docker_answers
from tests.parts.fresh_database import fresh_database
from tests.parts.postgres import ADDRESS, postgres_server

SDK_WARNS_OF_ITSELF = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]
"""Marks of all tests that use ``Site.sdk``."""

UP_S = 300
CLIENT_S = 180
TURN_S = 0.1


class Ended(msgspec.Struct, frozen=True):
    """How a program ended, and what it wrote."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


class Site:
    """A running site. ``secrets`` are what its tests used: none may be in any record."""

    def __init__(self, data: Path, environment: Mapping[str, str]) -> None:
        self.data = data
        self.command = _chronova(data)
        self.secrets: set[str] = set()
        self._environment = dict(environment)

    @property
    def settings(self) -> Settings:
        return load(str(self.data), {})

    @property
    def passwords(self) -> credentials.Credentials:
        return credentials.read(self.settings, {})

    @property
    def healthy(self) -> bool:
        return health.ask(self.settings.url).status == "ok"

    @property
    def clouds(self) -> Path:
        return self.data / "clouds.yaml"

    def environment(self, cloud: str = "chronova") -> dict[str, str]:
        """What a client needs to be a user of ``cloud`` in the site's clouds.yaml."""
        return self._environment | {"OS_CLIENT_CONFIG_FILE": str(self.clouds), "OS_CLOUD": cloud}

    def shell(self, line: str, code: int = 0) -> Ended:
        """Run a line as a user types it, after ``. <data>/openrc``."""
        script = f". {shlex.quote(str(self.data))}/openrc\n{line}\n"
        return self._run(["sh", "-eu", "-c", script], code, self._environment)

    def chronova(self, *arguments: str, code: int = 0) -> Ended:
        """The project's own command line, on this site."""
        return self._run([*_chronova(self.data), *arguments], code, self._environment)

    def openstack(self, *arguments: str, cloud: str = "chronova", code: int = 0) -> Ended:
        """The openstack command."""
        ended = Ended(*openstack_shell.call(arguments, self.environment(cloud), CLIENT_S))
        assert ended.code == code, f"{arguments} ended with {ended.code}: {ended.error}"
        return ended

    def shown(self, *arguments: str, cloud: str = "chronova") -> Any:
        """What the openstack command shows, as JSON."""
        return self.openstack(*arguments, "-f", "json", cloud=cloud).json

    @contextmanager
    def sdk(self, cloud: str = "chronova") -> Iterator[Any]:
        """openstacksdk, logged in."""
        found = openstack.config.OpenStackConfig([str(self.clouds)], load_envvars=False)
        with openstack.connection.Connection(config=found.get_one(cloud)) as connection:
            yield connection

    @property
    def image(self) -> str:
        """The id of the image ``demo``."""
        with self.sdk() as cloud:
            return str(cloud.image.find_image("demo", ignore_missing=False).id)

    @contextmanager
    def nova(self, cloud: str = "chronova") -> Iterator[Any]:
        """novaclient, logged in."""
        entry = msgspec.yaml.decode(self.clouds.read_bytes())["clouds"][cloud]["auth"]
        auth = keystoneauth1.identity.v3.Password(**entry)
        session = keystoneauth1.session.Session(auth)
        try:
            yield novaclient.client.Client("2.96", session=session)
        finally:
            session.session.close()

    def until(self, holds: Callable[[], bool], what: str, limit_s: float = 60) -> None:
        """Wait for a condition; fails after the limit."""
        end = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < end, f"not within {limit_s:.0f} s: {what}"
            time.sleep(TURN_S)

    def records(self) -> list[Record]:
        """Every record of every topic there is now."""
        with closing(open_site_log(self.settings)) as log:
            names = [topic.name for topic in topics.all_topics()]
            names += map(topics.dispatch, known_hosts(self.settings))
            sources = {(n, p): EARLIEST for n in names for p in range(log.partitions(n))}
            with closing(log.reader(sources)) as reader:
                ends = reader.ends()
                found: list[Record] = []
                until = time.monotonic() + 60
                while any(reader.positions()[source] < end for source, end in ends.items()):
                    assert time.monotonic() < until, "the log was not read within 60 s"
                    found.extend(reader.poll(1.0))
                return found

    def _run(self, command: list[str], code: int, environment: Mapping[str, str]) -> Ended:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_S,
            env=dict(environment),
        )
        ended = Ended(done.returncode, done.stdout, done.stderr)
        assert ended.code == code, f"{command[-3:]} ended with {ended.code}: {ended.error}"
        return ended


@contextmanager
def site(
    log: str,
    driver: str = "simulated",
    hosts: int = 1,
    demo_images: Path | None = None,
    folder: str = "site",
    variables: Mapping[str, str] | None = None,
    closed: bool = False,
) -> Iterator[Site]:
    """A site that is up, and forgotten afterwards. ``demo_images``: built before, not again;
    ``folder``: the name of its folder; ``variables``: more of the environment's; ``closed``:
    the folder above is closed to others."""
    # Not pytest's folder: a socket's path has to be short.
    above = Path(tempfile.mkdtemp(prefix="chronova-site-", dir="/var/tmp"))
    above.chmod(0o700 if closed else 0o711)  # QEMU's user passes it
    data = above / folder
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "CHRONOVA_"))
    }
    environment |= {"CHRONOVA_VIRT_TYPE": "qemu", "COLUMNS": "100", **(variables or {})}
    if demo_images is not None:
        shutil.copytree(demo_images, data / "demo-image")
    options = ["--log", log, "--driver", driver, "--hosts", str(hosts), "--port", str(free_port())]
    with ExitStack() as stack:
        if os.environ.get(ADDRESS) or docker_answers():
            server = stack.enter_context(postgres_server()).url
            options += ["--database", _url(server, stack.enter_context(fresh_database(server)))]
        if log == "kafka" and docker_answers():
            options += ["--kafka", stack.enter_context(kafka_broker()).bootstrap]
        try:
            _must([*_chronova(data), "up", *options], environment, data)
            yield Site(data, environment)
        finally:
            _must([*_chronova(data), "reset"], environment, data)
            shutil.rmtree(above, ignore_errors=True)


def _chronova(data: Path) -> list[str]:
    return [sys.executable, "-m", "chronova", "--data", str(data)]


def _must(command: list[str], environment: Mapping[str, str], data: Path) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=UP_S, env=dict(environment)
    )
    if done.returncode:
        logs = "".join(
            f"\n--- {path.name}\n{path.read_text()[-2000:]}" for path in data.glob("logs/*.log")
        )
        raise AssertionError(f"{command[-1]}: {done.stdout}{done.stderr}{logs}")


def _url(server: str, database: str) -> str:
    """The URL of a database given as a libpq connection string, on the server of that URL."""
    name = parse_dsn(database)["dbname"]
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])

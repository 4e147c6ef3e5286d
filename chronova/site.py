"""A whole site on one machine: up, down, status, reset.

Up is idempotent and every wait in it has a limit; it begins with what is there and starts only
what is missing. Down ends what up started and keeps the data; reset forgets the data.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

from chronova import (
    bootstrap,
    credentials,
    exclusive,
    health,
    listening,
    site_id,
    supervisor,
)
from chronova.client import Client, ClientError
from chronova.connections import make_keys, make_topics, open_site_log
from chronova.credentials import Credentials
from chronova.embedded import broker, libvirtd
from chronova.embedded.addresses import EMBEDDED, broker_folder, postgres_folder
from chronova.embedded.libvirt_install import LibvirtMissing
from chronova.embedded.postgres import EmbeddedPostgres
from chronova.processes import SUPERVISOR, running
from chronova.roles.agent import host_names
from chronova.settings import Settings, write
from events.topics import of_host

READY_S = 60.0
TURN_S = 0.1
HOSTS_AT_ONCE = 100
"""Hosts whose topics are made in one request."""
HOSTS_SHOWN = 20
"""How often, at most, it is said how many hosts are up."""

Say = Callable[[str], None]


class SiteError(Exception):
    """The site could not be brought up; the text is one sentence, with what to look at."""


def pick_driver(settings: Settings, wanted: str, say: Say) -> str:
    """``auto``: libvirt where it is or can be installed, else simulated; says which."""
    if wanted == "simulated":
        return wanted
    try:
        libvirtd.ensure_libvirt(settings.data_path, say)
        return "libvirt"
    except LibvirtMissing as error:
        if wanted == "libvirt":
            raise SiteError(str(error)) from error
        say(f"No libvirt here ({error}); hosts are simulated")
        return "simulated"


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The embedded Postgres of the site."""
    return EmbeddedPostgres(postgres_folder(settings.data_path))


def start_beneath(settings: Settings, say: Say) -> None:
    """Start the embedded Postgres and broker, where the site has them and they do not run."""
    data = settings.data_path
    if settings.database == EMBEDDED:
        server = embedded_postgres(settings)
        if server.pid is None:
            say("Starting the embedded Postgres")
        server.start()
    if settings.log == EMBEDDED:
        folder = broker_folder(data)
        if broker.running(folder) is None:
            say("Starting the development broker")
        password = str(settings.log_options.get("sasl_plain_password", ""))
        unknown = running(data, SUPERVISOR) is None  # no role knows its port yet
        broker.start(folder, password=password, may_move=unknown)


def up(settings: Settings, say: Say) -> None:
    """Bring the site of these settings up; returns when it is healthy and its hosts are up."""
    identity = site_id.read(settings.data_path)
    first = identity is None or not identity.furnished
    # Many at once are made faster than by the agent, one by one; later it makes what is missing.
    known = prepare(settings, say, host_names(settings) if first else ())
    write(settings)
    supervisor.begin(settings)
    furnish(settings, known, say)
    _wait_until_healthy(settings, say)


def refuse_taken_port(settings: Settings) -> None:
    """Raise ``SiteError`` where another process listens on the port that the site is to take."""
    if listening.taken(settings):
        raise SiteError(
            f"another process listens on {settings.bind}:{settings.port}: end it, or take another"
            " port (make up PORT=…)"
        )


def compare(settings: Settings) -> None:
    """Check that folder, log and database are of one site. Raises ``WrongSite``, ``LogError``."""
    log = open_site_log(settings)
    try:
        site_id.compare(settings, log)
    finally:
        log.close()


def prepare(settings: Settings, say: Say, hosts: Sequence[str] = ()) -> Credentials:
    """What must be there before any role: the site's id, keys, passwords, topics, also those of
    ``hosts``."""
    log = open_site_log(settings)
    try:
        site_id.compare(settings, log)
        made = make_topics(settings, log)
        if made:
            say(f"Topics made: {len(made)}")
        for first in range(0, len(hosts), HOSTS_AT_ONCE):
            log.create_topics([of_host(host) for host in hosts[first : first + HOSTS_AT_ONCE]])
            if len(hosts) > HOSTS_AT_ONCE:
                say(f"Topics of hosts: {min(first + HOSTS_AT_ONCE, len(hosts))} of {len(hosts)}")
    finally:
        log.close()
    make_keys(settings)
    known = credentials.read(settings)
    identity = site_id.read(settings.data_path)
    if identity is None or not identity.furnished:
        known = credentials.completed(known)
    credentials.write(settings, known)
    return known


def furnish(settings: Settings, known: Credentials, say: Say) -> None:
    """What a new site begins with, once its roles run: users, flavors, the demo image."""
    client = Client(settings.url)
    _wait_for(lambda: _logged_in(client, known) is not None, "the API", settings)
    identity = site_id.read(settings.data_path)
    if identity is None or not identity.furnished:
        if not _logged_in(client, known):
            bootstrap.found(settings, known)
            _wait_for(lambda: _logged_in(client, known) is True, "the first users", settings)
        bootstrap.ensure_flavors(client)
        bootstrap.ensure_image(settings, client, say)
        site_id.furnished(settings.data_path)
    elif not known.admin:
        say(
            "The admin's password is not in this folder: a backup holds none. `chronova admin"
            " reset-password` sets a new one and writes clouds.yaml and openrc"
        )
    elif not _logged_in(client, known):
        say(
            f"The admin cannot log in with the password in {credentials.clouds_file(settings)}:"
            " write the right one there, or `chronova admin reset-password` sets a new one"
        )


def _wait_for(ready: Callable[[], bool], what: str, settings: Settings) -> None:
    end = time.monotonic() + READY_S
    while not ready():
        if time.monotonic() > end:
            reasons = health.ask(settings.url).reasons
            logs = settings.data_path / "logs"
            raise SiteError(
                f"{what} did not get ready within {READY_S:.0f} s: {reasons}; see {logs}"
            )
        time.sleep(TURN_S)


def _logged_in(client: Client, known: Credentials) -> bool | None:
    """Whether the admin's password is right; None: nobody can tell yet."""
    try:
        client.login("admin", known.admin, "admin")
    except ClientError as error:
        return False if error.status == 401 else None
    return True


def _wait_until_healthy(settings: Settings, say: Say) -> None:
    """Wait for /healthz and the hosts, as long as more and more of these come up.

    A site that is degraded is up as well, and says so: no waiting mends it."""
    wanted, most = len(host_names(settings)), 0
    end = time.monotonic() + READY_S
    while True:
        seen = health.ask(settings.url)
        if seen.serves and seen.hosts_up >= wanted:
            if seen.degraded:
                say(f"Degraded: {seen.degraded}")
            return
        if seen.hosts_up >= most + max(1, wanted // HOSTS_SHOWN):
            most, end = seen.hosts_up, time.monotonic() + READY_S
            if wanted > 1:
                say(f"Hosts: {most} of {wanted} are up")
        if time.monotonic() > end:
            ill = f"{seen.hosts_up} of {wanted} hosts are up" if seen.serves else seen.reasons
            raise SiteError(
                f"the site did not get healthy within {READY_S:.0f} s: {ill}; see"
                f" {settings.data_path / 'logs'}"
            )
        time.sleep(TURN_S)


def down(settings: Settings, say: Say) -> None:
    """End what ``up`` started; data and guests stay."""
    with exclusive.alone(settings.data_path, say):
        _say_ended(end_processes(settings), say)


def _say_ended(ended: list[str], say: Say) -> None:
    say(f"Ended: {', '.join(ended)}" if ended else "Nothing was running")


def end_processes(settings: Settings) -> list[str]:
    """End all processes of the site on this machine; their names."""
    ended = supervisor.finish(settings)
    if broker.stop(broker_folder(settings.data_path)):
        ended.append("broker")
    database = embedded_postgres(settings)
    if database.pid is not None:
        database.stop()
        ended.append("postgres")
    libvirtd.stop_libvirt(settings.data_path)
    return ended


def reset(settings: Settings, say: Say) -> None:
    """Down, then forget: guests, data, passwords."""
    if not settings.data_path.exists():
        return say("Nothing was running")
    with exclusive.alone(settings.data_path, say):
        if settings.driver == "libvirt":
            _remove_guests(settings, say)
        _say_ended(end_processes(settings), say)
        shutil.rmtree(settings.data_path, ignore_errors=True)
        say(f"Forgotten: {settings.data}")


def _remove_guests(settings: Settings, say: Say) -> None:
    from chronova.roles.agent import driver_of
    from handlers.compute.drivers.contract import DriverError

    supervisor.finish(settings)
    for host in host_names(settings):
        try:
            libvirtd.ensure_libvirt(settings.data_path, say)
            driver = driver_of(settings, host)
            for server_id in driver.power_states():
                driver.ensure_absent(server_id)
            driver.close()
        except (DriverError, LibvirtMissing) as error:
            say(f"Guests of {host} were not removed: {error}")

"""A whole site on one machine: up, down, status, reset.

Up is idempotent and every wait in it has a limit; it begins with what is there and starts only
what is missing. Down ends what up started and keeps the data; reset forgets the data.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from chronova import bootstrap, credentials, exclusive, listening, supervisor
from chronova.client import Client, ClientError
from chronova.connections import make_keys, make_topics, open_site_log
from chronova.credentials import Credentials
from chronova.embedded import broker, libvirtd
from chronova.embedded.libvirt_install import LibvirtMissing
from chronova.embedded.postgres import EmbeddedPostgres
from chronova.processes import pid_file, running
from chronova.roles.agent import host_names
from chronova.settings import Settings, write

READY_S = 60.0
TURN_S = 0.1

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
    return EmbeddedPostgres(settings.data_path / "postgres")


def start_database(settings: Settings) -> str:
    """Start the embedded Postgres; its address."""
    url = embedded_postgres(settings).start()
    pid = embedded_postgres(settings).pid
    path = pid_file(settings.data_path, "postgres")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{pid}\n")
    return url


def up(settings: Settings, say: Say) -> Credentials:
    """Bring the site of these settings up; returns when a server could be booted."""
    if not any(running(settings.data_path, name) for name in ("supervisor", "api")):
        _refuse_taken_port(settings)
    write(settings)
    known = prepare(settings, say)
    supervisor.begin(settings)
    furnish(settings, known, say)
    client = Client(settings.url)
    client.login("admin", known.admin, "admin")
    _wait_for(lambda: _hosts_up(client, len(host_names(settings))), "the compute hosts", settings)
    return known


def _refuse_taken_port(settings: Settings) -> None:
    if listening.taken(settings):
        raise SiteError(
            f"another process listens on {settings.bind}:{settings.port}: end it, or take another"
            " port (make up PORT=…)"
        )


def prepare(settings: Settings, say: Say) -> Credentials:
    """What must be there before any role: keys, passwords, topics."""
    make_keys(settings)
    known = credentials.read(settings)
    credentials.write(settings, known)
    log = open_site_log(settings)
    try:
        made = make_topics(settings, log)
    finally:
        log.close()
    if made:
        say(f"Topics made: {len(made)}")
    return known


def furnish(settings: Settings, known: Credentials, say: Say) -> None:
    """What a new site begins with, once its roles run: users, flavors, the demo image."""
    client = Client(settings.url)
    _wait_for(lambda: _answers(client), "the API", settings)
    _login(settings, known, client)
    bootstrap.ensure_flavors(client)
    bootstrap.ensure_image(settings, client, say)


def _wait_for(ready: Callable[[], bool], what: str, settings: Settings) -> None:
    end = time.monotonic() + READY_S
    while not ready():
        if time.monotonic() > end:
            logs = settings.data_path / "logs"
            raise SiteError(f"{what} did not get ready within {READY_S:.0f} s; see {logs}")
        time.sleep(TURN_S)


def _answers(client: Client) -> bool:
    try:
        client.call("GET", "/identity/v3")
    except ClientError:
        return False
    return True


def _login(settings: Settings, known: Credentials, client: Client) -> None:
    _wait_for(lambda: _logged_in(client, known) is not None, "the projector", settings)
    if not _logged_in(client, known):
        bootstrap.ensure_users(settings, known)
        _wait_for(lambda: _logged_in(client, known) is True, "the first users", settings)


def _logged_in(client: Client, known: Credentials) -> bool | None:
    """Whether the admin's password is right; None: nobody can tell yet."""
    try:
        client.login("admin", known.admin, "admin")
    except ClientError as error:
        return False if error.status == 401 else None
    return True


def _hosts_up(client: Client, wanted: int) -> bool:
    services = client.call("GET", "/compute/v2.1/os-services?binary=nova-compute")["services"]
    return bool(sum(service["state"] == "up" for service in services) >= wanted)


def down(settings: Settings, say: Say) -> None:
    """End what ``up`` started; data and guests stay."""
    with exclusive.alone(settings.data_path, say):
        _end(settings, say)


def _end(settings: Settings, say: Say) -> None:
    ended = supervisor.finish(settings)
    if broker.stop(settings.data_path / "kafka"):
        ended.append("broker")
    database = embedded_postgres(settings)
    if database.pid is not None:
        database.stop()
        pid_file(settings.data_path, "postgres").unlink(missing_ok=True)
        ended.append("postgres")
    libvirtd.stop_libvirt(settings.data_path)
    say(f"Ended: {', '.join(ended)}" if ended else "Nothing was running")


def reset(settings: Settings, say: Say) -> None:
    """Down, then forget: guests, data, passwords."""
    if not settings.data_path.exists():
        return say("Nothing was running")
    with exclusive.alone(settings.data_path, say):
        if settings.driver == "libvirt":
            _remove_guests(settings, say)
        _end(settings, say)
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

"""``chronova up``: from options to settings to a running site, with a word on each step."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path

import msgspec
from rich.console import Console

from chronova import broker_access, credentials, exclusive, modes, site, site_id, supervisor
from chronova.embedded.addresses import EMBEDDED, broker_folder
from chronova.embedded.broker_properties import client_options, options_of
from chronova.processes import SUPERVISOR, running
from chronova.settings import Settings, SettingsError, checked, file_of, load, write
from chronova.site_id import WrongSite

LOGS = ("postgres", "kafka")
DRIVERS = ("auto", "libvirt", "simulated")


def up(
    data: str,
    log: str,
    kafka: str,
    database: str,
    driver: str,
    hosts: int | None,
    port: int | None,
    out: Console,
) -> None:
    """Bring the site in ``data`` up. What is not said stays as it was, or is the default."""
    if log and log not in LOGS:
        raise SettingsError(f"log is {log!r}: postgres or kafka")
    if driver and driver not in DRIVERS:
        raise SettingsError(f"driver is {driver!r}: auto, libvirt or simulated")
    Path(data).mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive.alone(Path(data).resolve(), out.print):
        _up(data, log, kafka, database, driver, hosts, port, out)


def _up(
    data: str,
    log: str,
    kafka: str,
    database: str,
    driver: str,
    hosts: int | None,
    port: int | None,
    out: Console,
) -> None:
    first = not file_of(data).exists()
    before = load(data)
    if not first:
        _refuse_another_site(before, log or ("kafka" if kafka else ""), driver)
    asked = {"port": port, "hosts": hosts, "driver": driver if driver != "auto" else ""}
    asked |= {"database": database, "log": f"kafka://{kafka}" if kafka else ""}
    wanted = {name: value for name, value in asked.items() if value not in ("", None)}
    settings = _completed(checked(msgspec.to_builtins(before) | wanted), log)
    say = out.print
    _refuse_what_cannot_come_up(settings, before)
    if settings != before and running(settings.data_path, SUPERVISOR):
        say("The settings have changed: the processes are started again")
        supervisor.finish(before)
    picks = first and driver in ("", "auto") and settings.hosts == 1
    kind = site.pick_driver(settings, "auto" if picks else settings.driver, say)
    settings = msgspec.structs.replace(settings, driver=kind)
    if first:
        write(settings)  # so that `down` and `reset` know of what is started next
    modes.close_folder(settings)
    try:
        site.start_beneath(settings, say)
        site.up(settings, say)
    except WrongSite:
        if first:
            site.end_processes(settings)
            file_of(data).unlink()
        raise
    _announce(settings, out)


def _refuse_what_cannot_come_up(settings: Settings, before: Settings) -> None:
    """Before anything that runs is ended for it. Raises ``SiteError`` and ``WrongSite``."""
    runs = any(running(settings.data_path, name) for name in (SUPERVISOR, "api"))
    if not runs or (settings.bind, settings.port) != (before.bind, before.port):
        site.refuse_taken_port(settings)
    moves = (settings.log, settings.database) != (before.log, before.database)
    if moves and site_id.read(settings.data_path) is not None:
        site.compare(settings)


def _completed(settings: Settings, log: str) -> Settings:
    """With what a site runs itself, where nothing else is set."""
    changes: dict[str, object] = {}
    if not settings.database:
        changes["database"] = EMBEDDED
    if log == "kafka" and not settings.log:
        changes["log"] = EMBEDDED
    settings = msgspec.structs.replace(settings, **changes)
    if settings.log == EMBEDDED and "sasl_plain_password" not in settings.log_options:
        properties = broker_folder(settings.data_path) / "server.properties"
        known = options_of(properties) if properties.exists() else {}
        login = known or client_options(secrets.token_urlsafe(24))
        options = {**settings.log_options, **login}
        settings = msgspec.structs.replace(settings, log_options=options)
    return settings


def _refuse_another_site(settings: Settings, log: str, driver: str) -> None:
    """What a site has records and guests in stays. Raises ``SettingsError``."""
    kept = "kafka" if settings.on_kafka else "postgres"
    for what, wanted, has in (
        ("log", log, kept),
        ("driver", "" if driver == "auto" else driver, settings.driver),
    ):
        if wanted and wanted != has:
            raise SettingsError(
                f"the {what} of the site in {settings.data} is {has}, and what there is cannot"
                f" move to {wanted}: take another folder, or reset this one"
            )


def _announce(settings: Settings, out: Console) -> None:
    kind = "Kafka" if settings.on_kafka else "Postgres"
    out.print(f"\n[bold]Chronova is up.[/bold]  {settings.url}")
    out.print(f"  log        {kind}{broker_access.addresses(settings)}")
    out.print(f"  hosts      {settings.hosts}, {settings.driver}")
    for name, path in (
        ("identity", "/identity/v3"),
        ("compute", "/compute/v2.1"),
        ("image", "/image"),
        ("placement", "/placement"),
        ("registry", "/registry"),
    ):
        out.print(f"  {name:<10} {settings.url}{path}")
    broker_access.write(settings)
    for line in broker_access.lines(settings):
        out.print(line, markup=False)
    if not credentials.openrc_file(settings).exists():
        reset = f"chronova --data {shlex.quote(settings.data)} admin reset-password"
        out.print(f"\nFirst: {reset}", markup=False)
    out.print(f"\nThen:  . {shlex.quote(f'{settings.data}/openrc')}")
    out.print("       openstack server create --image demo --flavor m1.tiny --nic none --wait vm1")

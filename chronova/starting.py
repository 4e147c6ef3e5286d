"""``chronova up``: from options to settings to a running site, with a word on each step."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from chronova import exclusive, site, supervisor
from chronova.embedded import broker
from chronova.processes import running
from chronova.settings import Settings, SettingsError, checked, file_of, load

LOGS = ("postgres", "kafka")
DRIVERS = ("auto", "libvirt", "simulated")


def up(
    data: str,
    log: str,
    kafka: str,
    database: str,
    driver: str,
    hosts: int,
    port: int,
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
    hosts: int,
    port: int,
    out: Console,
) -> None:
    first = not file_of(data).exists()
    before = load(data)
    if not first:
        _refuse_another_site(before, log or ("kafka" if kafka else ""), driver)
    asked = {"port": port, "hosts": hosts, "driver": driver if driver != "auto" else ""}
    asked |= {"database": database, "log": f"kafka://{kafka}" if kafka else ""}
    wanted = {name: value for name, value in asked.items() if value}
    settings = checked(msgspec.to_builtins(before) | wanted)
    say = out.print
    changes: dict[str, object] = {}
    if database:
        changes["database"] = database
    elif not settings.database or site.embedded_postgres(settings).url == settings.database:
        if site.embedded_postgres(settings).pid is None:
            say("Starting the embedded Postgres")
        changes["database"] = site.start_database(settings)
    if kafka or log == "kafka" or settings.log.startswith("kafka:"):
        changes["log"] = _broker(settings, kafka, log, say)
    if first and driver in ("", "auto"):
        kind = "simulated" if settings.hosts > 1 else "auto"
        changes["driver"] = site.pick_driver(settings, kind, say)
    else:
        site.pick_driver(settings, settings.driver, say)
    settings = msgspec.structs.replace(settings, **changes)
    if settings != before and running(settings.data_path, "supervisor"):
        say("The settings have changed: the processes are started anew")
        supervisor.finish(before)
    site.up(settings, say)
    _announce(settings, out)


def _refuse_another_site(settings: Settings, log: str, driver: str) -> None:
    """What a site has records and guests in stays. Raises ``SettingsError``."""
    kept = "kafka" if settings.log.startswith("kafka:") else "postgres"
    for what, wanted, has in (
        ("log", log, kept),
        ("driver", "" if driver == "auto" else driver, settings.driver),
    ):
        if wanted and wanted != has:
            raise SettingsError(
                f"the {what} of the site in {settings.data} is {has}, and what there is cannot"
                f" move to {wanted}: take another folder, or reset this one"
            )


def _broker(settings: Settings, kafka: str, log: str, say: site.Say) -> str:
    if kafka:
        return f"kafka://{kafka}"
    folder = settings.data_path / "kafka"
    own = settings.log.startswith("kafka:") and not folder.exists()
    if own and log != "kafka":
        return settings.log
    if broker.running(folder) is None:
        say("Starting the development broker")
    return f"kafka://{broker.start(folder)}"


def _announce(settings: Settings, out: Console) -> None:
    kind = "Kafka" if settings.log.startswith("kafka:") else "Postgres"
    out.print(f"\n[bold]Chronova is up.[/bold]  {settings.url}")
    out.print(f"  log        {kind}")
    out.print(f"  hosts      {settings.hosts}, {settings.driver}")
    for name, path in (
        ("identity", "/identity/v3"),
        ("compute", "/compute/v2.1"),
        ("image", "/image"),
        ("placement", "/placement"),
    ):
        out.print(f"  {name:<10} {settings.url}{path}")
    out.print(f"\nThen:  . {settings.data}/openrc")
    out.print("       openstack server create --image demo --flavor m1.tiny --nic none --wait vm1")

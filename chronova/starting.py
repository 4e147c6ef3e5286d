"""``chronova up``: from options to settings to a running site, with a word on each step."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from chronova import site
from chronova.embedded import broker
from chronova.settings import Settings, SettingsError, load

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
    first = not (Path(data) / "chronova.toml").exists()
    settings = load(data)
    say = out.print
    changes: dict[str, object] = {}
    if database:
        changes["database"] = database
    elif not settings.database or site.embedded_postgres(settings).url == settings.database:
        say("Starting the embedded Postgres")
        changes["database"] = site.start_database(settings)
    if kafka or log == "kafka" or settings.log.startswith("kafka:"):
        changes["log"] = _broker(settings, kafka, log, say)
    if port:
        changes["port"] = port
    if hosts:
        changes["hosts"] = hosts
    if driver or first:
        wanted = driver or ("simulated" if hosts > 1 else "auto")
        changes["driver"] = site.pick_driver(settings, wanted, say)
    elif settings.driver == "libvirt":
        site.pick_driver(settings, "libvirt", say)
    settings = msgspec.structs.replace(settings, **changes)
    site.up(settings, say)
    _announce(settings, out)


def _broker(settings: Settings, kafka: str, log: str, say: site.Say) -> str:
    if kafka:
        return f"kafka://{kafka}"
    folder = settings.data_path / "kafka"
    own = settings.log.startswith("kafka:") and not folder.exists()
    if own and log != "kafka":
        return settings.log
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

"""What other users of this machine, and of its network, could reach of a site."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import psutil

from chronova.doctor.finding import Finding, failed, ok, warning
from chronova.embedded.addresses import EMBEDDED, broker_folder, postgres_folder
from chronova.embedded.broker_properties import options_of
from chronova.processes import running
from chronova.roles import beneath
from chronova.settings import Settings
from chronova.supervisor import ROLES

ENTRIES_MAX = 50_000
SHOWN = 3

Listener = tuple[str, str, int]
"""Process, address, port."""


def examine(settings: Settings) -> Iterator[Finding]:
    """All of it."""
    data = settings.data_path
    if data.is_dir():
        entries = list(islice(_entries(data), ENTRIES_MAX))
        yield modes(data, entries)
        yield owners(settings, entries)
    yield from broker_password(settings)
    yield listeners(_listeners(settings))


def modes(data: Path, entries: Iterable[Path]) -> Finding:
    """Whether others may read or write what lies in the folder."""
    wide = [path for path in (data, *entries) if _is_wide(path)]
    if not wide:
        return ok("modes", f"nobody else can read or write in {data}")
    seen = f"others may read or write {_shown(wide)}"
    advice = f"chmod -R go-rw {data}"
    passable = stat.S_IMODE(data.stat().st_mode) & 0o011
    return failed("modes", seen, advice) if passable else warning("modes", seen, advice)


def owners(settings: Settings, entries: Iterable[Path]) -> Finding:
    """Whether all is the site's own user's. Guests' disks are QEMU's, and left out."""
    data = settings.data_path
    owner = data.stat().st_uid
    server = postgres_folder(data)
    known = {owner, server.stat().st_uid} if server.exists() else {owner}
    strange = [path for path in entries if path.lstat().st_uid not in known]
    if strange:
        advice = f"who runs Chronova? chown -R {owner} what is not Postgres's"
        return failed("owners", f"of another user: {_shown(strange)}", advice)
    return ok("owners", f"all in {data} is user {owner}'s, or its Postgres's")


def broker_password(settings: Settings) -> Iterator[Finding]:
    """Whether the development broker lets every local user in."""
    properties = broker_folder(settings.data_path) / "server.properties"
    if settings.log != EMBEDDED or not properties.exists():
        return
    if options_of(properties):
        yield ok("broker's password", "it lets in only who knows it")
    else:
        advice = "`chronova down`, remove log_options from chronova.toml, `chronova up`"
        yield failed("broker's password", "every local user may write the log", advice)


def listeners(found: Iterable[Listener]) -> Finding:
    """Whether something can be reached from another machine."""
    far = [each for each in found if not ipaddress.ip_address(each[1]).is_loopback]
    if far:
        seen = ", ".join(f"{name} on {address}:{port}" for name, address, port in far)
        advice = "it speaks without TLS: bind = 127.0.0.1, and a proxy with TLS in front"
        return warning("listeners", f"reached from other machines: {seen}", advice)
    return ok("listeners", "on loopback only")


def _listeners(settings: Settings) -> Iterator[Listener]:
    processes = {name: running(settings.data_path, name) for name in ROLES}
    for name, process in (processes | beneath.processes(settings)).items():
        if process is None:
            continue
        try:
            for each in process.net_connections("inet"):
                if each.status == psutil.CONN_LISTEN:
                    yield name, each.laddr.ip.removeprefix("::ffff:"), each.laddr.port
        except psutil.Error:
            continue


def _entries(data: Path) -> Iterator[Path]:
    """What others could reach, and what lies beside it: not what is below a closed folder, nor
    guests' disks, which QEMU's user is to reach."""
    for folder, folders, files in os.walk(data):
        here = Path(folder)
        yield from (here / name for name in (*folders, *files))
        folders[:] = [
            name
            for name in folders
            if here / name != data / "instances" and (here / name).lstat().st_mode & 0o011
        ]


def _is_wide(path: Path) -> bool:
    mode = path.lstat().st_mode
    return not stat.S_ISLNK(mode) and not stat.S_ISSOCK(mode) and bool(mode & 0o066)


def _shown(paths: list[Path]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f"{', '.join(str(path) for path in paths[:SHOWN])}{more}"

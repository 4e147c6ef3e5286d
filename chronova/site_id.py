"""A site's id: in its data folder and as the first record of its log, compared before anything
starts.

A folder and a log that do not belong together are refused: a second site would replace the
passwords and take the hosts of the first. A copied folder has its original's id; where it has also
its log, database or hypervisor it is refused until somebody says that the original is gone.

A crash between folder and log is made good by the next start: ``founded`` says that the log has it.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import msgspec

from chronova.embedded.addresses import EMBEDDED
from chronova.settings import Settings
from events.log.contract import EARLIEST, Log, LogUnavailable, Outgoing
from events.log.records import Codec, headers
from events.message import Context
from events.site import TOPIC, SiteFounded
from projections import builds
from projections.connection import connect

READ_S = 15.0


class WrongSite(Exception):
    """Folder, log and database do not belong together; the text is one sentence."""


class Identity(msgspec.Struct, frozen=True):
    """What the folder knows of its site. ``founded``: the log has the id; ``furnished``: the first
    users, flavors and image were made; ``place``: which folder on this machine it was written in.
    """

    site_id: str
    founded: bool = False
    furnished: bool = False
    place: str = ""


def file_of(data: Path) -> Path:
    """Where the folder's identity lies."""
    return data / "site.json"


def read(data: Path) -> Identity | None:
    """The folder's identity, if it belongs to a site. Raises ``WrongSite`` for a damaged file."""
    try:
        return msgspec.json.decode(file_of(data).read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise WrongSite(f"{file_of(data)} is damaged ({error}): restore it") from error


def compare(settings: Settings, log: Log) -> None:
    """Found the site, or check that folder, log and database belong together. Raises
    ``WrongSite``, ``LogError``."""
    log.create_topics([TOPIC])
    data, found = settings.data_path, read(settings.data_path)
    _refuse_copy(settings, found)
    known = _of_log(log)
    if known is None and (found is None or not found.founded):
        found = found or Identity(str(uuid.uuid4()))
        write(data, found)
        _append(log, found.site_id)
        known = _of_log(log)
    if found is None:
        raise WrongSite(
            f"the log {_shown(settings)} belongs to site {known} already, and {settings.data} is"
            " not its folder: take another log, or use that site's folder"
        )
    if known != found.site_id:
        belongs = f"belongs to site {known}" if known else "belongs to no site"
        raise WrongSite(
            f"the log {_shown(settings)} {belongs}, and {settings.data} is the folder of site"
            f" {found.site_id}: mend the settings `log` and `database`"
        )
    _refuse_other_tables(settings, log)
    write(data, msgspec.structs.replace(found, founded=True))


def furnished(data: Path) -> None:
    """Note that the site's first users, flavors and image were made."""
    found = read(data)
    if found is not None:
        write(data, msgspec.structs.replace(found, furnished=True))


def moved(settings: Settings) -> None:
    """Note that the folder is the site's own, wherever it is now. Raises ``WrongSite``."""
    found = read(settings.data_path)
    if found is None:
        raise WrongSite(f"{settings.data} belongs to no site")
    write(settings.data_path, found)


def write(data: Path, identity: Identity) -> None:
    """Write the folder's identity, with its place."""
    path = file_of(data)
    content = msgspec.json.encode(msgspec.structs.replace(identity, place=_place(data)))
    if path.exists() and path.read_bytes() == content:
        return
    fresh = path.with_name("site.json.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _refuse_copy(settings: Settings, found: Identity | None) -> None:
    if found is None or found.place in ("", _place(settings.data_path)):
        return
    shared = [
        what
        for what, is_shared in (
            ("log", settings.log not in ("", EMBEDDED)),
            ("database", settings.database != EMBEDDED),
            ("hypervisor", settings.driver == "libvirt"),
        )
        if is_shared
    ]
    if shared:
        raise WrongSite(
            f"{settings.data} was copied or moved, and has its {' and '.join(shared)} in common"
            " with the folder it was made from: if that one is gone, say `chronova moved`"
        )


def _place(data: Path) -> str:
    """Tells a folder from its copies: its inode, and its path where it is a file system's root,
    whose inode is the same everywhere."""
    inode = str(data.stat().st_ino)
    return f"{inode} {data}" if data.is_mount() else inode


def _of_log(log: Log) -> str | None:
    source = (TOPIC.name, 0)
    reader = log.reader({source: EARLIEST})
    try:
        end, until = reader.ends()[source], time.monotonic() + READ_S
        while reader.positions()[source] < end:
            for record in reader.poll(0.5, 1):
                message = Codec().decode(record.value)
                return message.site_id if isinstance(message, SiteFounded) else None
            if time.monotonic() > until:
                raise LogUnavailable(f"the topic {TOPIC.name} was not read within {READ_S:.0f} s")
    finally:
        reader.close()
    return None


def _append(log: Log, site_id: str) -> None:
    at = time.time_ns() // 1000
    context = Context(id=str(uuid.uuid4()), time=at)
    made = headers(context, SiteFounded.type_name, "/chronova/site")
    value = Codec().encode(SiteFounded(site_id=site_id, at=at))
    log.append([Outgoing(TOPIC.name, site_id, value, made, 0)])


def _refuse_other_tables(settings: Settings, log: Log) -> None:
    """The tables' own word on the log they were made from: a projector would refuse it later."""
    if not settings.database_url:
        return
    connection = connect(settings.database_url, "site")
    try:
        builds.install(connection)
        live = builds.live_build(connection)
    finally:
        connection.close()
    if live is not None and live.log != log.identity():
        raise WrongSite(
            f"the tables in the database of {settings.data} were made from another site's log: take"
            " a database of its own (the setting `database`)"
        )


def _shown(settings: Settings) -> str:
    """The log's address without a password."""
    scheme, _, rest = settings.log_url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"

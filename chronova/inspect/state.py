"""How everything is: processes, log, projections, hosts; what a person asks first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil
from sqlalchemy import Engine

from chronova import supervisor
from chronova.client import Client, ClientError
from chronova.connections import open_site_log
from chronova.processes import SUPERVISOR, running
from chronova.roles import beneath
from chronova.settings import Settings
from events import topics
from events.features import PROCESS
from events.log.contract import EARLIEST, LogError, Reader, TopicPartition
from events.log.records import Codec
from handlers.features import holders
from projections import builds
from projections.connection import connect
from projections.fleet.hosts import host_names
from projections.fleet.services import heard_since, list_services
from projections.live import engine as engine_of

LOOK_S = 5.0
ROLES = (SUPERVISOR, *supervisor.ROLES)


def processes(settings: Settings) -> list[dict[str, Any]]:
    """This machine's processes of the site: name, pid (None: not running), memory in MiB."""
    found = []
    processes = {name: running(settings.data_path, name) for name in ROLES}
    processes |= beneath.processes(settings)
    for name, process in processes.items():
        pid, rss = None, None
        if process is not None:
            with suppress(psutil.Error):
                pid, rss = process.pid, round(process.memory_info().rss / 2**20)
        found.append({"process": name, "pid": pid, "rss_mib": rss})
    return found


def log_state(settings: Settings) -> dict[str, Any]:
    """Whether the log answers, and how fast."""
    kind = settings.log_url.partition(":")[0]
    try:
        log = open_site_log(settings)
        try:
            began = time.perf_counter()
            log.ping()
            elapsed = time.perf_counter() - began
            return {"log": kind, "answers": True, "ms": round(elapsed * 1e3, 1)}
        finally:
            log.close()
    except LogError as error:
        return {"log": kind, "answers": False, "reason": str(error)}


def levels(settings: Settings) -> dict[str, Any]:
    """The feature level: enabled, known to this version, and who holds the known one back. Who was
    refused as too old is named for as long as a service may be silent. Raises ``LogError``."""
    log = open_site_log(settings)
    try:
        reached = PROCESS.look()
        holding, refused = holders(log, Codec(), settings.service_down_time_s)
    finally:
        log.close()
    return {
        "enabled": reached.enabled,
        "required": reached.required,
        "known": PROCESS.known,
        "held_back_by": holding if reached.enabled < PROCESS.known else [],
        "refused": refused,
    }


def lag(settings: Settings) -> list[dict[str, Any]]:
    """For each events partition that holds anything: where the live build is, and the log's end.

    Offsets need not be dense: ``behind`` says whether there is a record that was not folded.
    """
    connection = connect(settings.database_url, "status")
    try:
        builds.install(connection)
        live = builds.live_build(connection)
        places = builds.places(connection, live.schema) if live else {}
    finally:
        connection.close()
    log = open_site_log(settings)
    try:
        sources = {
            (topics.events(domain), number): EARLIEST
            for domain in topics.DOMAINS
            for number in range(log.partitions(topics.events(domain)))
        }
        sources |= {source: place.offset for source, place in places.items()}
        reader = log.reader(sources)
        try:
            ends = reader.ends()
            behind = _with_more(reader, ends)
        finally:
            reader.close()
    finally:
        log.close()
    return [
        {
            "partition": f"{topic}/{number}",
            "position": places[topic, number].position if (topic, number) in places else 0,
            "offset": sources[topic, number],
            "end": end,
            "behind": (topic, number) in behind,
        }
        for (topic, number), end in sorted(ends.items())
        if end
    ]


def _with_more(reader: Reader, ends: Mapping[TopicPartition, int]) -> set[TopicPartition]:
    """The partitions in which there is a record between the reader's start and the end."""
    found: set[TopicPartition] = set()
    until = time.monotonic() + LOOK_S
    while time.monotonic() < until:
        positions = reader.positions()
        if all(source in found or positions[source] >= end for source, end in ends.items()):
            break
        found |= {(record.topic, record.partition) for record in reader.poll(0.2)}
    return found


def api_state(settings: Settings) -> dict[str, Any]:
    """What the API says of itself."""
    try:
        Client(settings.url).call("GET", "/identity/v3")
    except ClientError as error:
        return {"api": settings.url, "answers": False, "reason": str(error)}
    return {"api": settings.url, "answers": True}


def known_hosts(settings: Settings) -> list[str]:
    """The names of all hosts that have registered and are not deleted."""
    pool = engine_of(settings.database_url, 1)
    try:
        with pool.connect() as connection:
            return host_names(connection)
    finally:
        pool.dispose()


def services(engine: Engine, settings: Settings) -> list[dict[str, Any]]:
    """The compute services, as ``openstack compute service list`` shows them."""
    with engine.connect() as connection:
        rows = list_services(connection, heard_since(settings.service_down_time_s))
    return [
        {
            "binary": row.binary,
            "host": row.host,
            "zone": row.zone,
            "status": "disabled" if row.disabled else "enabled",
            "state": "up" if row.up else "down",
            "reason": row.disabled_reason,
        }
        for row in rows
    ]

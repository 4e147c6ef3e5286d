"""The doctor sees what is wrong, says what to do, and never fails itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
import sqlalchemy
from sqlalchemy.schema import CreateTable

from chronova.connections import make_topics, open_site_log
from chronova.doctor import machine, records, tables
from chronova.doctor.examination import examine
from chronova.doctor.finding import Finding, is_sound
from chronova.doctor.tables import SHOWN_MAX
from chronova.domains import load_projections
from chronova.settings import Settings, write
from events import topics
from events.fleet.heartbeat import CONDUCTOR, Heartbeat
from events.log.contract import Record
from events.log.postgres import PostgresLog
from events.log.records import Codec
from projections.aside import SET_ASIDE
from projections.builds import LIVE_SCHEMA
from projections.connection import connect
from projections.fleet.heartbeats import SERVICE_HEARTBEATS, heartbeat_rows
from projections.lag import Standing
from projections.rebuild import Rebuild
from tests.parts.broker import kafka_broker
from tests.parts.fresh_database import fresh_database

if TYPE_CHECKING:
    from tests.parts.broker import Broker
    from tests.parts.postgres import PostgresServer


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """A broker that other tests' topics are not on."""
    with kafka_broker() as running:
        yield running


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def by_check(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def test_wrong_settings_end_it(tmp_path: Path) -> None:
    (finding,) = examine(str(tmp_path), {"CHRONOVA_PORT": "no"})
    assert (finding.check, finding.verdict) == ("settings", "failed")
    assert "port" in finding.seen
    assert not is_sound([finding])


def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    (tmp_path / "idempotency.key").touch(mode=0o644)
    found = by_check(machine.secrets(settings))
    assert found["secrets"].verdict == "failed"
    assert found["secrets"].advice == f"chmod 600 {tmp_path}/idempotency.key"
    (tmp_path / "idempotency.key").chmod(0o600)
    assert by_check(machine.secrets(settings))["secrets"].verdict == "ok"


def test_no_folder(tmp_path: Path) -> None:
    found = by_check(machine.disk(Settings(data=str(tmp_path / "none"))))
    assert found["data folder"].verdict == "failed"


def test_libraries_are_compared_with_what_is_declared() -> None:
    assert by_check(machine.versions())["libraries"].verdict == "ok"


def test_the_api_is_told_from_another_program(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), port=free_port())
    found = by_check(machine.api(settings))["API"]
    assert found.verdict == "failed" and "nothing answers" in found.seen
    with socket.create_server((settings.bind, settings.port)) as other:
        other.settimeout(10)
        assert machine._listened(settings)


@pytest.mark.parametrize(("seconds", "verdict"), [(0.01, "ok"), (1.0, "warning"), (60.0, "failed")])
def test_clocks(seconds: float, verdict: str) -> None:
    assert records.skew("clock", seconds).verdict == verdict


def test_no_database() -> None:
    found = by_check(tables.examine(Settings(), None))
    assert found["database"].seen == "none is set"


def test_a_database_that_is_away(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    write(Settings(data=str(tmp_path), database=url, port=free_port()))
    found = by_check(examine(str(tmp_path), {}))
    assert found["log"].verdict == "failed"
    assert found["database"].verdict == "failed"
    assert "refused" in found["database"].seen


@pytest.mark.service
def test_a_young_site(tmp_path: Path, database: PostgresServer) -> None:
    with fresh_database(database.url) as dsn:
        with closing(psycopg2.connect(dsn)) as connection:
            p = connection.info.dsn_parameters
        url = f"postgresql://{p.get('user', '')}@/{p['dbname']}?host={p['host']}&port={p['port']}"
        settings = Settings(data=str(tmp_path), database=url, partitions=3, port=free_port())
        write(settings)
        found = by_check(examine(str(tmp_path), {}))
        assert found["log"].verdict == "ok"
        assert found["topics"].advice == "run `chronova topics create`"
        log = open_site_log(settings)
        try:
            make_topics(settings, log)
        finally:
            log.close()
        found = by_check(examine(str(tmp_path), {}))
        assert found["topics"].verdict == found["log's clock"].verdict == "ok"
        assert found["database's clock"].verdict == "ok"
        assert found["projection"].verdict == "failed"
        assert "projector" in found["projection"].advice
        found = by_check(examine(str(tmp_path), {"CHRONOVA_PARTITIONS": "6"}))
        assert found["topics"].advice.startswith("set partitions = 3")


@pytest.mark.service
def test_kafka_topics_that_are_not_as_they_must_be(own_broker: Broker) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    broker = own_broker
    settings = Settings(log=f"kafka://{broker.bootstrap}", partitions=1)
    log = open_site_log(settings)
    try:
        make_topics(settings, log)
        found = by_check(records.examine(settings, log))
        assert found["topics' settings"].verdict == "ok"
        assert found["log's clock"].verdict == "ok"
        assert found["brokers"].verdict == "warning"
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        try:
            short = ConfigResource(
                ConfigResourceType.TOPIC, "image.events", {"retention.ms": "3600000"}
            )
            admin.alter_configs([short])
            found = by_check(records.examine(settings, log))
        finally:
            admin.close()
    finally:
        log.close()
    assert found["topics' settings"].verdict == "failed"
    assert "image.events" in found["topics' settings"].seen
    assert "kafka-configs.sh" in found["topics' settings"].advice


def test_the_verb(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chronova", "--data", str(tmp_path), "doctor"]
    for arguments in ([], ["--json"]):
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["sound"] is False
    assert {"check", "verdict", "seen", "advice"} == set(report["findings"][-1])


def test_what_the_projection_could_not_take_is_named(database: PostgresServer) -> None:
    waits = {"compute.events/3": "the event at compute.events/3 offset 7 cannot be read: no schema"}
    standing = Standing(1, "v", {}, 0.0, True, set_aside=SHOWN_MAX + 2, waiting=waits)
    with fresh_database(database.url) as url:
        connection = connect(url, "test")
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {LIVE_SCHEMA}; SET search_path TO {LIVE_SCHEMA}")
            cursor.execute(str(CreateTable(SET_ASIDE)))
            cursor.execute(
                "INSERT INTO set_aside SELECT n, 'server', 's-' || n, 'compute.events', 0,"
                " 'compute.ServerLocked at compute.events/0 position 3', 'OverflowError: x', n, 1"
                f" FROM generate_series(1, {SHOWN_MAX + 2}) n"
            )
        found = list(tables.not_taken(url, standing))
    assert {finding.verdict for finding in found} == {"failed"}
    assert found[0].seen.startswith("compute.events/3 waits: the event at")
    assert "server s-1 is set aside since compute.ServerLocked" in found[1].seen
    assert found[1].advice == "with a version that can show it: `chronova projection heal`"
    assert [finding.seen for finding in found[SHOWN_MAX + 1 :]] == [
        "2 more aggregates are set aside"
    ]


ILL = "compute.events/1: an event cannot be read"
FOLDED = "compute.events/2 is folded before it decides, 5 of 9 records so far"


def live_engine(url: str) -> sqlalchemy.Engine:
    """One that may write to the live tables."""
    settings = {"search_path": LIVE_SCHEMA}
    return sqlalchemy.create_engine(
        "postgresql+psycopg2://", creator=lambda: connect(url, "test", settings)
    )


@pytest.mark.parametrize("troubles", [[], [ILL, FOLDED]])
def test_what_waits_in_a_decider_is_named(database: PostgresServer, troubles: list[str]) -> None:
    load_projections()
    with fresh_database(database.url) as url, closing(PostgresLog(url)) as log:
        settings = Settings(database=url)
        assert list(tables.deciders(settings)) == [], "there are no tables yet"
        log.create_topics(topics.all_topics(1))
        beat = Heartbeat(host="h", binary=CONDUCTOR, at=1, started_at=1, troubles=troubles)
        Rebuild(log, url).run()
        at = time.time_ns() // 1000
        record = Record(topics.HEARTBEATS, 0, 0, at, "h", Codec().encode(beat), {})
        with live_engine(url).begin() as connection:
            connection.execute(SERVICE_HEARTBEATS.insert(), heartbeat_rows([record]))
        found = list(tables.deciders(settings))
    assert {one.check for one in found} == {"deciders"}
    if not troubles:
        assert [(one.verdict, one.seen) for one in found] == [("ok", "nothing waits for help")]
        return
    seen = [("failed", f"{CONDUCTOR} on h: {trouble}") for trouble in troubles]
    assert [(one.verdict, one.seen) for one in found] == seen
    assert "`chronova log verify`" in found[0].advice
    assert "What is folded decides when that is done" in found[0].advice

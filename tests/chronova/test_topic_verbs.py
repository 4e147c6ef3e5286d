"""``chronova topics`` lists the topics; ``chronova topics create`` creates those missing."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import psycopg2

from chronova.connections import topics_of
from chronova.settings import Settings, write
from chronova.topic_verbs import TopicState, retention, states
from events.log.contract import Topic
from events.log.memory import MemoryLog
from tests.chronova.test_first_steps import run
from tests.parts.fresh_database import fresh_database
from tests.parts.postgres import PostgresServer


def test_each_topic_has_the_partitions_of_the_log() -> None:
    log = MemoryLog(lambda: 0)
    log.create_topics([Topic("compute.events", 3)])
    wanted = [Topic("compute.events", 12), Topic("replies", 12, 3_600_000)]
    assert states(log, wanted) == [
        TopicState("compute.events", 3, None),
        TopicState("replies", None, 3_600_000),
    ]


def test_a_retention_in_words() -> None:
    assert [retention(one) for one in (None, 14 * 24 * 3_600_000, 3_600_000)] == [
        "for ever",
        "14 days",
        "1.0 hours",
    ]


def test_they_are_listed_and_created(tmp_path: Path, database: PostgresServer) -> None:
    with fresh_database(database.url) as dsn:
        with closing(psycopg2.connect(dsn)) as connection:
            p = connection.info.dsn_parameters
        url = f"postgresql://{p.get('user', '')}@/{p['dbname']}?host={p['host']}&port={p['port']}"
        write(Settings(data=str(tmp_path), database=url))
        site = ("--data", str(tmp_path), "topics")
        before = run(*site, "--json")
        assert before.returncode == 1
        assert {each["partitions"] for each in json.loads(before.stdout)} == {None}
        made = run(*site, "create", "--host", "node1")
        assert made.returncode == 0 and "compute.dispatch.node1" in made.stdout
        assert run(*site, "create").stdout == "all topics are there\n"
        after = run(*site, "--host", "node1")
    assert after.returncode == 0 and "missing" not in after.stdout
    first, *rows = after.stdout.splitlines()
    assert first.split() == ["topic", "partitions", "retention"]
    assert rows[0].split() == ["compute.commands", "12", "14", "days"]
    assert len(rows) == len(topics_of(Settings())) + 1

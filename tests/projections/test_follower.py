"""Batches: what they write, what they cost, and who may write them."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from events import topics
from events.aggregate import AGGREGATES
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.heartbeat import Heartbeat
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.log.records import GENESIS, Codec, chain_hash
from events.outcome import CommandRefused
from events.state_codec import decode_state
from events.topics import all_topics
from projections import builds
from projections.connection import GONE, Connection
from projections.failures import (
    ProjectionAhead,
    ProjectorFenced,
    WrongLog,
)
from tests.projections.conftest import PARTITIONS
from tests.projections.counting import CountingConnection
from tests.projections.recorder import START, Recorder, boot, created, deletion, power
from tests.projections.tables import catch_up, content, follower, new_build, rows

EVENTS = topics.events("compute")


def test_the_rows_are_the_fold(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    story = boot("one") + power("one", START + 1000)
    recorder.append(story, 1, "req-1")
    recorder.append(boot("two", START, "other")[:2], 2, "req-2")
    one = follower(log, url, new_build(control, log))
    assert catch_up(one) == len(story) + 2
    folded: Server | None = None
    for event in story:
        folded = AGGREGATES["server"].evolve(folded, event)
    found = rows(
        control,
        "SELECT id, vm_state, task_state, host, sequence, state, document"
        " FROM projection_1.servers ORDER BY id",
    )
    assert [row[:5] for row in found] == [
        ("one", "active", None, "host-1", 9),
        ("two", "building", "networking", "host-1", 2),
    ]
    assert decode_state(bytes(found[0][5]), Server) == folded
    assert list(orjson.loads(found[0][6])["metadata"]) == ["z", "a"], "in the order it was given"
    place = one.places[EVENTS, 1]
    assert (place.offset, place.position) == (len(story), len(story))
    assert builds.places(control, "projection_1") == one.places
    one.close()


def test_the_tables_do_not_depend_on_how_events_fall_into_batches(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.write(_busy_stories(recorder))
    made = []
    for size, states in ((1, 0), (2, 1), (7, 3), (1000, 1000)):
        build = new_build(control, log)
        one = follower(log, url, build, records_max=size, states_max=states)
        catch_up(one)
        one.close()
        made.append(content(control, build.schema))
    assert len(made[0]["servers"]) == 12
    assert len(made[0]["instance_actions"]) >= 20
    for other in made[1:]:
        assert other == made[0]


def _busy_stories(recorder: Recorder) -> list[Outgoing]:
    """Servers' stories interleaved, some events with no request, some deletions in mid-boot."""
    rng = random.Random(7)
    stories: list[tuple[int, list[Any]]] = []
    for n in range(12):
        name, at, project = f"server-{n}", START + n, f"project-{n % 3}"
        story = boot(name, at, project)[: rng.choice((1, 2, 4, 5))]
        if len(story) == 5:
            story += power(name, at + 100)[: rng.randint(0, 4)]
        if n % 2:
            story += deletion(name, at + 500, project)
        stories.append((n % 3, story))
    written = []
    while any(story for _, story in stories):
        partition, story = rng.choice([s for s in stories if s[1]])
        event = story.pop(0)
        request = rng.choice(["", f"req-{event.subject[1]}-{type(event).__name__}"])
        written.append(recorder.outgoing(event, partition, request))
    return written


def test_history_holds_every_event_and_proves_the_chain(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    refused = CommandRefused(
        at=START,
        command_id="c1",
        command="compute.X",
        status=409,
        code="conflict",
        detail="tab\tnul\0",
    )
    strange = f.ServerDescribed(at=START, server_id="a\\b\tc\nd", description="x")
    recorder.append([created("one"), refused, strange], 0, "req-1")
    one = follower(log, url, new_build(control, log))
    catch_up(one)
    one.close()
    found = rows(
        control,
        "SELECT position, key, body, headers, type, aggregate, aggregate_id, sequence, request_id,"
        " user_id, project_id, correlation_id, causation_id, time, appended, schema_id, event_id"
        " FROM projection_1.history WHERE domain = 'compute' AND partition = 0 ORDER BY position",
    )
    previous = GENESIS
    for position, key, body, made, *_ in found:
        assert made["ce_previoushash"] == previous
        assert int(made["ce_position"]) == position
        previous = chain_hash(key, bytes(body), made)
    assert [row[4:8] for row in found] == [
        ("compute.ServerCreated", "server", "one", 1),
        ("outcome.CommandRefused", "command", "none", 1),
        ("compute.ServerDescribed", "server", "a\\b\tc\nd", 1),
    ]
    assert found[0][8:14] == ("req-1", "user", "project", "first", "before", START + 5)
    assert found[0][14] > START
    assert found[0][15] == int.from_bytes(bytes(found[0][2])[1:5], "big")
    assert found[0][16] == f"{EVENTS}/0/1"


def test_text_that_postgres_cannot_hold_does_not_stop_it(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(
        [
            created("one"),
            f.ServerRenamed(at=START, server_id="one", server_name="a\0b\\u0000"),
            f.MetadataChanged(at=START, server_id="one", metadata={"k\0": "v\0"}),
        ]
    )
    one = follower(log, url, new_build(control, log))
    catch_up(one)
    one.close()
    assert rows(control, "SELECT name FROM projection_1.servers") == [("a\ufffdb\\u0000",)]


def test_one_event_costs_one_round_trip(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    one = follower(log, url, new_build(control, log), live=True, factory=CountingConnection)
    recorder.append(boot("another", START, "other") + power("another", START), 1)
    catch_up(one)
    costs = {}
    for event in boot("one") + deletion("one", START + 500):
        recorder.append([event])
        one.connection.sent.clear()
        assert one.step(10.0) == 1
        sent = one.connection.sent
        costs[type(event).__name__] = (len(sent), one.connection.statements())
    one.close()
    # The first one also loads its project, which other facts may have changed before.
    trips, statements = costs["ServerCreated"]
    assert trips == 2
    assert statements[0] == "SELECT %s,"
    assert sorted(statements[4:-2]) == sorted(
        f"EXECUTE {change}"
        for change in ("upsert_servers", "upsert_project_quotas", "actions", "steps")
    )
    for name, changes in {
        "HostSelected": ["upsert_servers", "endings", "steps"],
        "ImageFetched": ["upsert_servers"],
        "DomainStarted": ["upsert_servers", "endings"],
        "DeletionRequested": ["upsert_servers", "actions", "steps"],
    }.items():
        trips, statements = costs[name]
        assert trips == 1, name
        assert statements == [
            "BEGIN",
            "EXECUTE fence",
            "COPY history",
            *(f"EXECUTE {change}" for change in changes),
            "SELECT pg_notify",
            "COMMIT",
        ]


def test_a_batch_costs_the_same_whatever_its_size(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    for n in range(100):
        recorder.append(boot(f"server-{n}"), 0, f"req-{n}")
    one = follower(log, url, new_build(control, log), factory=CountingConnection)
    one.connection.sent.clear()
    assert one.step(10.0) == 500
    assert len(one.connection.sent) <= 2
    statements = one.connection.statements()
    one.close()
    assert statements.count("EXECUTE upsert_servers") == 1
    assert sum(text.startswith("COPY") for text in statements) == 1
    assert statements.count("COMMIT") == 1
    assert len(statements) <= 10


def test_states_out_of_the_cache_come_from_their_rows_in_one_statement(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    for name in ("one", "two"):
        recorder.append(boot(name)[:2])
    one = follower(log, url, new_build(control, log), states_max=0, factory=CountingConnection)
    catch_up(one)
    for name in ("one", "two"):
        recorder.append(boot(name)[2:])
    while one.behind():
        one.connection.sent.clear()
        one.step(10.0)
        assert sum(text.startswith("SELECT %s, id, state") for text in one.connection.sent) == 1
    one.close()
    assert rows(control, "SELECT DISTINCT vm_state, sequence FROM projection_1.servers") == [
        ("active", 5)
    ]


def test_of_two_projectors_one_is_fenced_and_writes_nothing(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    first, second = follower(log, url, build), follower(log, url, build)
    recorder.append(boot("one"))
    assert first.step(10.0) == 5
    before = content(control, build.schema)
    with pytest.raises(ProjectorFenced, match="another projector has moved"):
        second.step(10.0)
    assert content(control, build.schema) == before
    second.close()
    second.open()
    recorder.append(power("one", START + 100))
    assert second.step(10.0) == 4
    with pytest.raises(ProjectorFenced):
        first.step(10.0)
    first.close()
    second.close()


def test_a_lost_connection_leaves_nothing_half_done(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    one = follower(log, url, build)
    recorder.append(boot("one"))
    rows(control, f"SELECT pg_terminate_backend({one.connection.info.backend_pid})")
    with pytest.raises(GONE):
        one.step(10.0)
    assert content(control, build.schema)["servers"] == []
    one.close()
    one.open()
    assert catch_up(one) == 5
    one.close()
    assert len(content(control, build.schema)["history"]) == 5


def test_another_log_is_refused(log: PostgresLog, url: str, control: Connection) -> None:
    build = new_build(control, log)
    other = PostgresLog(url, schema="other")
    other.create_topics(all_topics(PARTITIONS))
    with pytest.raises(WrongLog, match=f"made from the log {log.identity()}, this is"):
        follower(other, url, build)
    other.close()


def test_a_projection_ahead_of_the_log_is_refused(
    log: PostgresLog, url: str, control: Connection
) -> None:
    build = new_build(control, log)
    rows(
        control, f'UPDATE {build.schema}.positions SET "offset" = 3 WHERE partition = 2 RETURNING 1'
    )
    with pytest.raises(ProjectionAhead, match=r"has read \S+/2 up to offset 3, .* ends at 0"):
        follower(log, url, build)


def test_what_is_gone_begins_anew(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    story = [*boot("one"), *deletion("one", START + 100)]
    recorder.append(story)
    late = f.ServerRenamed(at=START + 200, server_id="one", server_name="late")
    recorder.append([late])
    for size in (1, 100):
        build = new_build(control, log)
        one = follower(log, url, build, records_max=size, states_max=0)
        catch_up(one)
        one.close()
        assert rows(control, f"SELECT deleted, name, sequence FROM {build.schema}.servers") == [
            (True, "name of one", 7)
        ], "a fact about a server that is gone changes nothing"


def test_heartbeats_are_kept_beside(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    beat = Heartbeat(host="host-1", at=START, started_at=START - 1)
    log.append([Outgoing(topics.HEARTBEATS, "host-1", Codec().encode(beat), {}, 0)])
    one = follower(log, url, new_build(control, log), followed=True)
    recorder.append(boot("one"))
    log.append([Outgoing(topics.HEARTBEATS, "host-1", Codec().encode(beat), {}, 0)])
    seen: set[Any] = set()
    while one.behind() or len(seen) < 1:
        one.step(1.0)
        seen.update(rows(control, 'SELECT host, "binary" FROM projection_1.service_heartbeats'))
    one.close()
    assert seen == {("host-1", "nova-compute")}
    assert rows(control, "SELECT count(*) FROM projection_1.servers") == [(1,)]


def test_steps_are_ended_by_their_keys_however_large_the_table_becomes(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    """Postgres keeps the plan that it made while the table was empty."""
    one = follower(log, url, new_build(control, log))
    recorder.append(boot("one")[:2])
    catch_up(one)
    recorder.append(boot("one")[2:])
    catch_up(one)
    plan = rows(one.connection, "EXPLAIN EXECUTE endings('[]')")
    one.close()
    steps = "\n".join(line for (line,) in plan).partition("instance_action_events e")[2]
    assert "Index Cond: (server_id = n" in steps.partition("Subquery")[0], plan

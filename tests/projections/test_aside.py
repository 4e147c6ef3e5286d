"""One event that no table can hold: its aggregate is set aside, everything else goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from events import topics
from events.compute.flavor import FlavorCreated, FlavorSnapshot
from events.compute.server import Server
from events.compute.server import facts as f
from events.fleet.heartbeat import Heartbeat
from events.identity.application_credential import ApplicationCredentialCreated
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.log.records import Codec
from projections import aside, verify
from projections import follower as followers
from projections.builds import Build
from projections.connection import Connection
from projections.follower import Follower, event_sources
from projections.model import ReadModel, read_model
from projections.rebuild import Rebuild
from projections.table import Row
from tests.projections.counting import CountingConnection
from tests.projections.recorder import START, Recorder, boot, created, deletion, power
from tests.projections.tables import catch_up, content, new_build, rows

EVENTS = topics.events("compute")
MANY = 10**12

Change = Callable[[Server, Row], Row]


def overflows(server: Server, row: Row) -> Row:
    """As a date beyond the calendar does."""
    raise OverflowError("date value out of range")


def too_large_a_number(server: Server, row: Row) -> Row:
    """For the column, and for JSON at once."""
    return {**row, "power_state": MANY}


def beyond_json(server: Server, row: Row) -> Row:
    """orjson writes 64 bits."""
    return {**row, "power_state": 2**70}


def too_large_for_the_index(server: Server, row: Row) -> Row:
    """Random, for Postgres compresses what it can."""
    name = "".join(random.Random(1).choices("0123456789abcdef", k=20_000))
    return {**row, "name": name}


def nothing_where_something_must_be(server: Server, row: Row) -> Row:
    """NOT NULL."""
    return {**row, "project_id": None}


CHANGES = [
    overflows,
    too_large_a_number,
    beyond_json,
    too_large_for_the_index,
    nothing_where_something_must_be,
]


def model_of(change: Change, bad: str = "bad", renamed: str = "") -> ReadModel:
    """The installation's read model, but that rows of the server ``bad`` are changed; with
    ``renamed`` only once it has that name."""
    model = read_model()
    server = model.projected["server"]

    def row(state: Server) -> Row:
        made = server.row(state)
        ill = state.server_id == bad and renamed in ("", state.name)
        return change(state, made) if ill else made

    projected = {**model.projected, "server": msgspec.structs.replace(server, row=row)}
    return msgspec.structs.replace(model, projected=projected)


def following(
    log: PostgresLog, url: str, build: Build, model: ReadModel, **options: Any
) -> Follower:
    one = Follower(log, url, build, event_sources(log, model), model, **options)
    one.open()
    return one


def servers(control: Connection, schema: str) -> list[tuple[str, str]]:
    return rows(control, f"SELECT id, vm_state FROM {schema}.servers ORDER BY id")


def record(recorder: Recorder) -> int:
    """A dozen servers, the bad one in the middle; how many events."""
    names = [f"server-{n:02d}" for n in range(6)]
    names.insert(3, "bad")
    for name in names:
        recorder.append(boot(name), 0, f"req-{name}")
    recorder.append(power("bad", START + 100), 0, "req-power")
    recorder.append(power("server-05", START + 100), 0, "req-power")
    return 7 * 5 + 8


@pytest.mark.parametrize("records_max", [1, 1000])
@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_written_is_set_aside_and_all_else_goes_on(
    log: PostgresLog,
    url: str,
    control: Connection,
    recorder: Recorder,
    change: Change,
    records_max: int,
) -> None:
    build = new_build(control, log)
    if change is too_large_for_the_index:
        rows(control, f"CREATE INDEX ON {build.schema}.servers (name); SELECT 1")
    events = record(recorder)
    one = following(log, url, build, model_of(change), records_max=records_max)
    catch_up(one)
    one.close()
    assert one.places[EVENTS, 0].position == events
    assert servers(control, build.schema) == [(f"server-{n:02d}", "active") for n in range(6)]
    (note,) = aside.notes(control, build.schema)
    assert (note.aggregate, note.id, note.topic, note.partition) == ("server", "bad", EVENTS, 0)
    assert note.error and note.events > 1
    assert rows(control, f"SELECT count(*) FROM {build.schema}.history") == [(events,)]
    # The project that the same events change is not set aside.
    quota = rows(control, f"SELECT sequence FROM {build.schema}.project_quotas")
    assert quota == [(7,)]


def test_only_the_note_follows_what_comes_later(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    model = model_of(too_large_a_number, renamed="worse")
    recorder.append(boot("bad"))
    one = following(log, url, build, model)
    catch_up(one)
    assert servers(control, build.schema) == [("bad", "active")]
    recorder.append([f.ServerRenamed(at=START + 50, server_id="bad", server_name="worse")])
    catch_up(one)
    (note,) = aside.notes(control, build.schema)
    assert note.event == f"compute.ServerRenamed at {EVENTS}/0 position 6"
    assert note.events == 1
    recorder.append(power("bad", START + 100)[:2])
    catch_up(one)
    one.close()
    one.open()
    recorder.append(power("bad", START + 100)[2:])
    catch_up(one)
    one.close()
    assert servers(control, build.schema) == [("bad", "active")]
    assert [(n.event, n.events) for n in aside.notes(control, build.schema)] == [(note.event, 5)]


def test_a_fold_that_fails_is_set_aside(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    model = read_model()
    server = model.aggregates["server"]

    def evolve(state: Any, event: Any) -> Any:
        if isinstance(event, f.StopRequested) and event.server_id == "bad":
            raise KeyError("no such thing")
        return server.evolve(state, event)

    aggregates = {**model.aggregates, "server": msgspec.structs.replace(server, evolve=evolve)}
    events = record(recorder)
    build = new_build(control, log)
    changed = msgspec.structs.replace(model, aggregates=aggregates)
    one = following(log, url, build, changed, records_max=7)
    catch_up(one)
    one.close()
    assert one.places[EVENTS, 0].position == events
    (note,) = aside.notes(control, build.schema)
    assert note.error == "KeyError: 'no such thing'"
    assert note.event.startswith("compute.StopRequested")


def test_a_line_of_the_history_that_no_index_holds_is_shortened(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    long = "".join(random.Random(2).choices("0123456789abcdef", k=20_000))
    build = new_build(control, log)
    rows(control, f"CREATE INDEX ON {build.schema}.history (request_id); SELECT 1")
    recorder.append(boot("one"))
    recorder.append([f.ServerDescribed(at=START, server_id="one", description="x")], 0, long)
    recorder.append(boot("two"))
    one = following(log, url, build, read_model())
    catch_up(one)
    one.close()
    assert aside.notes(control, build.schema) == []
    found = rows(
        control,
        f"SELECT length(request_id), length(headers->>'ce_requestid')"
        f" FROM {build.schema}.history WHERE type = 'compute.ServerDescribed'",
    )
    assert found == [(200, 20_000)]
    assert len(content(control, build.schema)["history"]) == 11


def test_a_row_that_cannot_be_read_back_is_set_aside(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    recorder.append(boot("one") + boot("two"))
    one = following(log, url, build, read_model(), states_max=0)
    catch_up(one)
    rows(control, f"UPDATE {build.schema}.servers SET state = 'x' WHERE id = 'one' RETURNING 1")
    recorder.append(power("one", START) + power("two", START))
    catch_up(one)
    one.close()
    (note,) = aside.notes(control, build.schema)
    assert (note.id, note.events) == ("one", 4)
    assert "the row of server one is unreadable" in note.error
    assert rows(control, f"SELECT sequence FROM {build.schema}.servers WHERE id = 'two'") == [(9,)]


def test_an_id_with_nul_is_an_id_like_any_other(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    one = following(log, url, build, read_model(), states_max=0)
    for story in (boot("a\0b"), power("a\0b", START + 100), deletion("a\0b", START + 200)):
        recorder.append(story)
        catch_up(one)
    one.close()
    assert aside.notes(control, build.schema) == []
    found = rows(control, f"SELECT id, deleted, sequence FROM {build.schema}.servers")
    assert found == [("a\ufffdb", True, 11)]


def test_two_ids_that_are_one_in_the_tables_do_not_stop_it(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    recorder.append([created("a\0"), created("a\ufffd"), *boot("two")])
    one = following(log, url, build, read_model())
    catch_up(one)
    one.close()
    assert one.places[EVENTS, 0].position == 7
    assert [id for id, _ in servers(control, build.schema)] == ["a\ufffd", "two"]


def test_a_heartbeat_that_no_index_holds_is_passed_over(
    log: PostgresLog, url: str, control: Connection
) -> None:
    long = "".join(random.Random(3).choices("0123456789abcdef", k=20_000))
    build = new_build(control, log)
    one = following(log, url, build, read_model(), followed=True)
    for host in ("host-1", long, "host-2"):
        beat = Heartbeat(host=host, at=START, started_at=START - 1)
        log.append([Outgoing(topics.HEARTBEATS, "host", Codec().written(beat), {}, 0)])
    seen: set[Any] = set()
    while len(seen) < 2:
        one.step(1.0)
        seen.update(rows(control, f"SELECT host FROM {build.schema}.service_heartbeats"))
    one.close()
    assert seen == {("host-1",), ("host-2",)}


def test_facts_beyond_the_calendar_and_the_columns(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    """Those that a client was once able to have accepted."""
    flavor = FlavorSnapshot(flavor_id="7", name="huge", vcpus=1, ram_mib=9_999_999_999, root_gib=1)
    credential = ApplicationCredentialCreated(
        at=START,
        credential_id="c",
        user_id="user",
        project_id="project",
        credential_name="x",
        secret_hash="hash",
        role_ids=[],
        expires_at=253_402_304_400_000_000,
    )
    recorder.append([FlavorCreated(at=START, flavor_id="7", flavor=flavor), *boot("one")])
    recorder.write(recorder.all([credential], 0, "", "identity"))
    build = new_build(control, log)
    one = following(log, url, build, read_model())
    catch_up(one)
    one.close()
    assert [note.aggregate for note in aside.notes(control, build.schema)] == [
        "flavor",
        "application_credential",
    ]
    assert servers(control, build.schema) == [("one", "active")]


def test_batches_are_bounded_in_bytes(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, monkeypatch: Any
) -> None:
    monkeypatch.setattr(followers, "BATCH_BYTES_MAX", 300)
    recorder.append(boot("one") + boot("two") + boot("three"))
    build = new_build(control, log)
    one = following(log, url, build, read_model(), factory=CountingConnection)
    catch_up(one)
    assert one.places[EVENTS, 0].position == 15
    assert 2 <= commits(one) < 15
    one.close()


def commits(one: Follower) -> int:
    connection: Any = one.connection
    statements: list[str] = connection.statements()
    return statements.count("COMMIT")


def test_rows_that_are_too_many_bytes_are_written_in_halves(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, monkeypatch: Any
) -> None:
    monkeypatch.setattr("projections.writer.TEXT_BYTES_MAX", 20_000)
    for n in range(40):
        recorder.append([created(f"server-{n}")])
    build = new_build(control, log)
    one = following(log, url, build, read_model(), factory=CountingConnection)
    catch_up(one)
    assert commits(one) >= 4
    one.close()
    assert aside.notes(control, build.schema) == []
    assert rows(control, f"SELECT count(*) FROM {build.schema}.servers") == [(40,)]


def test_verify_tells_what_is_set_aside(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder)
    ill = model_of(too_large_a_number)
    done = Rebuild(log, url, model=ill).run()
    assert done is not None and done.set_aside == 1
    found = verify.verify(log, url, model=ill)
    assert not found.equal
    assert [t.table for t in found.tables if t.differing] == []
    assert "server/bad: " in found.set_aside[0]
    assert Rebuild(log, url).run() is not None
    assert verify.verify(log, url).equal

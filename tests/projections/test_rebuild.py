"""Rebuilding beside the live tables: level, verified, switched while people read and write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from events.log.postgres import PostgresLog
from projections import builds, verify
from projections.connection import Connection
from projections.failures import (
    BuildUnderWay,
    ProjectionDiffers,
    ProjectionError,
    ProjectionNotReady,
    ProjectorFenced,
)
from projections.live import engine
from projections.model import ReadModel, read_model
from projections.rebuild import Progress, Rebuild, rebuild
from tests.projections.recorder import START, Recorder, boot, deletion, power
from tests.projections.tables import catch_up, content, follower, rows


def record(recorder: Recorder, servers: int, first: int = 0) -> int:
    """That many servers' stories in all partitions; how many events."""
    written = []
    for n in range(first, first + servers):
        name = f"server-{n:04d}"
        project = f"project-{n % 3}"
        story = boot(name, START + n, project) + power(name, START + n + 100)
        if n % 3 == 0:
            story += deletion(name, START + n + 200, project)
        written += [
            recorder.outgoing(event, n % 3, f"req-{n}-{i // 5}") for i, event in enumerate(story)
        ]
    recorder.write(written)
    return len(written)


def test_the_first_build_becomes_live_when_level(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    events = record(recorder, 30)
    shown: list[Progress] = []
    done = rebuild(log, url, shown.append)
    assert done is not None
    assert (done.build, done.events, done.read, done.replaced) == (1, events, events, None)
    assert done.differing is None
    phases = [p.phase for n, p in enumerate(shown) if n == 0 or shown[n - 1].phase != p.phase]
    assert phases == ["reading", "indexing", "verifying", "switching", "done"]
    assert shown[-1].events == shown[-1].total == events
    assert shown[-1].rate > 0 and shown[-1].eta_s == 0
    assert rows(control, "SELECT count(*) FROM projection_live.servers") == [(30,)]
    found = rows(control, "SELECT indexname FROM pg_indexes WHERE schemaname = 'projection_live'")
    wanted = {index.name for table in read_model().tables for index in table.indexes}
    assert wanted <= {name for (name,) in found}


def test_a_rebuild_gives_the_same_tables_and_keeps_the_old_ones(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder, 20)
    rebuild(log, url)
    before = content(control, "projection_live")
    done = rebuild(log, url)
    assert done is not None and done.replaced == 1 and done.differing == {}
    assert content(control, "projection_live") == before == content(control, "projection_1")
    assert [(b.build, b.schema, b.state) for b in builds.builds(control)] == [
        (1, "projection_1", "old"),
        (2, "projection_live", "live"),
    ]
    live = builds.live_build(control)
    assert live is not None
    with pytest.raises(ProjectionError, match="build 2 is live or gone"):
        builds.drop(control, live)
    builds.drop(control, builds.builds(control)[0])
    assert rows(control, "SELECT to_regclass('projection_1.servers')") == [(None,)]


def test_an_interrupted_rebuild_goes_on_where_it_was(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    events = record(recorder, 60)
    stop = threading.Event()

    def interrupt(progress: Progress) -> None:
        if progress.events:
            stop.set()

    ended = Rebuild(log, url, records_max=5).run(interrupt, stop)
    assert ended is None
    (half,) = builds.builds(control)
    reached = sum(place.position for place in builds.places(control, half.schema).values())
    assert half.state == "building" and reached > 0
    done = rebuild(log, url)
    assert done is not None
    assert (done.build, done.events, done.read) == (1, events, events - reached)
    assert verify.verify(log, url).equal


def test_ctrl_c_ends_it_cleanly(log: PostgresLog, url: str, recorder: Recorder) -> None:
    record(recorder, 10)

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        rebuild(log, url, interrupt)
    assert threading.active_count() == threads
    done = rebuild(log, url)
    assert done is not None and done.build == 1


def test_two_rebuilds_do_not_mix(log: PostgresLog, url: str, recorder: Recorder) -> None:
    record(recorder, 5)
    second: list[Any] = []

    def another(progress: Progress) -> None:
        if not second:
            second.append(None)
            with pytest.raises(ProjectionError, match="another process is making build 1"):
                rebuild(log, url)

    done = rebuild(log, url, another)
    assert second and done is not None and done.build == 1


def test_a_half_made_build_of_another_version_is_thrown_away(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder, 5)
    builds.install(control)
    old = builds.create(control, read_model(), log.identity(), [])
    rows(control, "UPDATE chronova.projections SET version = 'older' RETURNING 1")
    done = rebuild(log, url)
    assert done is not None
    assert [b.build for b in builds.builds(control)] == [done.build]
    assert done.build != old.build or done.events


def test_the_live_projector_is_fenced_by_the_switch_and_the_position_never_goes_back(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder, 10)
    rebuild(log, url)
    live = builds.live_build(control)
    assert live is not None
    one = follower(log, url, live, live=True)
    record(recorder, 5, first=10)
    catch_up(one)
    before = builds.places(control, "projection_live")
    rebuild(log, url)
    after = builds.places(control, "projection_live")
    assert all(after[source].position >= place.position for source, place in before.items())
    record(recorder, 5, first=15)
    with pytest.raises(ProjectorFenced):
        catch_up(one)
    one.close()
    assert rows(control, "SELECT count(*) FROM projection_1.servers") == [(15,)]
    assert rows(control, "SELECT count(*) FROM projection_live.servers") == [(15,)]


def test_reads_never_stop_and_never_go_back_while_builds_are_switched(
    log: PostgresLog, url: str, recorder: Recorder
) -> None:
    record(recorder, 20)
    rebuild(log, url)
    reads = engine(url, pool_size=4)
    done = threading.Event()
    counts: list[list[int]] = [[], [], []]
    failures: list[BaseException] = []

    def read(seen: list[int]) -> None:
        try:
            while not done.is_set():
                with reads.connect() as connection:
                    query = "SELECT count(*), sum(sequence) FROM servers"
                    servers, events = connection.execute(text(query)).one()
                    assert (servers, events) != (0, None)
                    seen.append(int(events))
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)

    threads = [threading.Thread(target=read, args=(seen,)) for seen in counts]
    for thread in threads:
        thread.start()
    try:
        for n in range(4):
            record(recorder, 5, first=20 + n * 5)
            rebuild(log, url)
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
        reads.dispose()
    assert not failures
    for seen in counts:
        assert seen == sorted(seen) and len(seen) > 10


def test_verify_finds_each_kind_of_damage(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    events = record(recorder, 12)
    rebuild(log, url)
    sound = verify.verify(log, url)
    assert sound.equal and sound.events == events
    assert {t.table: t.rows for t in sound.tables}["servers"] == 12
    assert {t.table: t.rows for t in sound.tables}["history"] == events
    for damage in (
        "UPDATE projection_live.servers SET vm_state = 'error'",
        "DELETE FROM projection_live.servers",
    ):
        rows(control, f"{damage} WHERE id = 'server-0003' RETURNING 1")
        found = verify.verify(log, url)
        assert not found.equal
        assert {t.table: t.differing for t in found.tables if t.differing} == {
            "servers": ["server-0003"]
        }
    repaired = rebuild(log, url)
    assert repaired is not None and repaired.differing == {}
    assert verify.verify(log, url).tables[:-1] == sound.tables[:-1], "all but the positions"
    copied = """INSERT INTO projection_live.servers
        SELECT (jsonb_populate_record(s, '{"id": "x"}')).*
        FROM projection_live.servers s LIMIT 1 RETURNING 1"""
    rows(control, copied)
    found = verify.verify(log, url)
    assert [t.differing for t in found.tables if t.table == "servers"] == [["1 rows too many"]]
    rows(control, "DELETE FROM projection_live.history WHERE position = 3 RETURNING 1")
    with pytest.raises(
        ProjectionDiffers, match=r"is at position \d+ of compute.events/\d but holds"
    ):
        verify.verify(log, url)


def test_a_rebuild_tells_what_it_repaired(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder, 12)
    rebuild(log, url)
    rows(
        control,
        "UPDATE projection_live.servers SET name = 'x' WHERE id < 'server-0002' RETURNING 1",
    )
    done = rebuild(log, url)
    assert done is not None and done.differing == {"servers": 2}
    assert verify.verify(log, url).equal


def test_a_build_with_a_hole_is_not_switched_to(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder, 12)
    rebuild(log, url)

    def lose(progress: Progress) -> None:
        if progress.phase == "indexing" and progress.build == 2:
            rows(control, "DELETE FROM projection_2.history WHERE position = 2 RETURNING 1")

    with pytest.raises(ProjectionDiffers, match="build 2 is at position"):
        rebuild(log, url, lose)
    live = builds.live_build(control)
    assert live is not None and live.build == 1


def test_verifying_nothing_is_refused_with_a_sentence(log: PostgresLog, url: str) -> None:
    with pytest.raises(ProjectionNotReady, match="no live projection of this version"):
        verify.verify(log, url)


def test_the_version_changes_with_what_it_depends_on() -> None:
    model = read_model()
    assert model.version() == read_model().version()
    some = dict(model.projected)
    server = some["server"]
    some["server"] = type(server)(server.aggregate, server.table, server.row, server.version + 1)
    assert ReadModel(model.metadata, some, model.aggregates).version() != model.version()
    some.pop("server")
    assert ReadModel(model.metadata, some, model.aggregates).version() != model.version()


def test_of_many_that_begin_at_once_one_builds(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    record(recorder, 5)
    started = threading.Barrier(4)

    def begin() -> str:
        started.wait(10)
        try:
            return "built" if Rebuild(log, url, only_missing=True).run() else "found"
        except BuildUnderWay:
            return "waits"

    with ThreadPoolExecutor(4) as several:
        results = [one.result(60) for one in [several.submit(begin) for _ in range(4)]]
    assert results.count("built") == 1, results
    assert [(b.build, b.state) for b in builds.builds(control)] == [(1, "live")]

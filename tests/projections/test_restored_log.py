"""An older copy of the log under newer tables: what is refused, and the way out of it."""

from __future__ import annotations

import threading

import pytest

from events import topics
from events.log.postgres import PostgresLog
from events.message import MESSAGES
from projections import aside, builds, verify
from projections.connection import Connection
from projections.failures import ProjectionAhead, ProjectionError
from projections.model import ReadModel, read_model
from projections.rebuild import Progress, Rebuild, rebuild
from tests.projections.recorder import START, Recorder, boot, created, power
from tests.projections.tables import catch_up, follower, rows

SOURCE = (topics.events("compute"), 0)


def restore(control: Connection, events: int) -> None:
    """The log of compute's first partition ends after so many records, as an older copy does."""
    ((schema,),) = rows(
        control, "SELECT table_schema FROM information_schema.tables WHERE table_name = 'record'"
    )
    ((part,),) = rows(
        control,
        f"SELECT p.id FROM {schema}.partition p JOIN {schema}.topic t ON t.id = p.topic_id"
        " WHERE t.name = %s AND p.number = 0",
        SOURCE[0],
    )
    rows(
        control,
        f'DELETE FROM {schema}.record WHERE part = %s AND "offset" >= %s RETURNING 1',
        part,
        events,
    )
    rows(
        control,
        f"UPDATE {schema}.partition SET next_offset = %s WHERE id = %s RETURNING 1",
        events,
        part,
    )


def opened(url: str, old: PostgresLog) -> PostgresLog:
    """The log as processes see it after a restart."""
    old.close()
    return PostgresLog(url)


def test_a_rebuild_is_the_way_out_of_a_projection_that_is_ahead(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(boot("one") + boot("two"))
    rebuild(log, url)
    restore(control, 5)
    log = opened(url, log)
    live = builds.live_build(control)
    assert live is not None
    with pytest.raises(ProjectionAhead, match="chronova projection rebuild"):
        follower(log, url, live)
    done = rebuild(log, url)
    assert done is not None and (done.events, done.replaced) == (5, 1)
    assert rows(control, "SELECT id FROM projection_live.servers") == [("one",)]
    assert verify.verify(log, url).equal
    log.close()


def test_a_half_made_build_of_the_lost_part_is_begun_again(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(boot("one") + boot("two"))
    stop = threading.Event()

    def interrupt(progress: Progress) -> None:
        if progress.phase == "indexing":
            stop.set()

    assert Rebuild(log, url).run(interrupt, stop) is None
    restore(control, 5)
    log = opened(url, log)
    done = rebuild(log, url)
    assert done is not None and (done.build, done.events) == (1, 5)
    assert len(builds.builds(control)) == 1
    log.close()


def test_a_log_that_grew_on_from_an_older_copy_is_told_from_the_one_before(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(boot("one"))
    older = recorder.begin_term()
    recorder.append(power("one", START + 100), 0, "req-lost")
    rebuild(log, url)
    restore(control, 5)
    log = opened(url, log)
    older.log = log
    older.append(boot("two") + boot("three"))
    live = builds.live_build(control)
    assert live is not None
    one = follower(log, url, live)
    catch_up(one)
    one.close()
    (found,) = aside.waiting(control, "projection_live")
    assert found.source == SOURCE
    assert "has no beginning of a term at offset 5" in found.error
    one.open()
    assert one.waiting.keys() == {SOURCE}
    one.close()
    done = rebuild(log, url)
    assert done is not None and done.events == 15 and done.waiting == []
    assert verify.verify(log, url).equal
    log.close()


def older_model() -> ReadModel:
    model = read_model()
    some = {
        n: type(p)(p.aggregate, p.table, p.row, p.version + 1) for n, p in model.projected.items()
    }
    return ReadModel(model.metadata, some, model.aggregates, model.followed)


def test_a_build_that_waits_before_the_live_one_takes_its_place_only_for_another_version(
    log: PostgresLog,
    url: str,
    control: Connection,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder.append([created("one"), *power("one", START + 100)])
    rebuild(log, url)
    with monkeypatch.context() as other:
        other.delitem(MESSAGES, "compute.ServerStopped")
        with pytest.raises(ProjectionError, match=r"has more: the event at \S+ offset 2 cannot"):
            rebuild(log, url)
        done = Rebuild(log, url, model=older_model()).run()
        assert done is not None and done.events == 2
        assert "offset 2 cannot be read" in done.waiting[0]
    again = rebuild(log, url)
    assert again is not None and again.events == 5 and again.waiting == []

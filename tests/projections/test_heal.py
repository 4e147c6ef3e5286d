"""Healing: rows that could not be made are made from the log by a version that can."""

from __future__ import annotations

import pytest

from events import topics
from events.compute.server import facts as f
from events.log.postgres import PostgresLog
from projections import aside, builds, verify
from projections.connection import Connection
from projections.failures import ProjectionDiffers, ProjectionNotReady, ProjectorFenced
from projections.heal import heal
from projections.lag import Lag
from projections.rebuild import Rebuild
from tests.parts.hopping_reader import let_hop
from tests.projections.recorder import START, Recorder, boot, deletion, power
from tests.projections.tables import catch_up, content, rows
from tests.projections.test_aside import following, model_of, overflows, record, too_large_a_number

EVENTS = topics.events("compute")


@pytest.mark.parametrize("change", [overflows, too_large_a_number])
def test_what_was_set_aside_is_as_if_it_had_never_been(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, change: object
) -> None:
    record(recorder)
    recorder.begin_term()
    Rebuild(log, url, model=model_of(change)).run()  # type: ignore[arg-type]
    recorder.append(deletion("bad", START + 900), 0, "req-delete")
    live = builds.live_build(control)
    assert live is not None
    one = following(log, url, live, model_of(change))  # type: ignore[arg-type]
    catch_up(one)
    read: list[int] = []
    done = heal(log, url, read.append)
    assert (done.healed, done.left) == (["server/bad"], [])
    assert sum(read) == one.places[EVENTS, 0].position
    assert verify.verify(log, url).equal
    healed = content(control, "projection_live")
    one.close()
    Rebuild(log, url).run()
    assert content(control, "projection_live") == healed


def test_the_projector_opens_again_and_takes_what_comes_then(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(boot("bad") + boot("two"))
    Rebuild(log, url, model=model_of(overflows)).run()
    live = builds.live_build(control)
    assert live is not None
    one = following(log, url, live, model_of(overflows, renamed="never"))
    heal(log, url)
    recorder.append(power("bad", START + 100))
    with pytest.raises(ProjectorFenced):
        catch_up(one)
    one.close()
    one.open()
    catch_up(one)
    one.close()
    assert rows(control, "SELECT id, sequence FROM projection_live.servers ORDER BY id") == [
        ("bad", 9),
        ("two", 5),
    ]
    assert verify.verify(log, url).equal


def test_what_still_cannot_be_written_stays_set_aside(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(boot("bad") + boot("worse"))
    both = model_of(overflows)
    model = model_of(overflows, bad="worse")
    Rebuild(log, url, model=model).run()
    live = builds.live_build(control)
    assert live is not None
    one = following(log, url, live, both)
    recorder.append([f.ServerDescribed(at=START, server_id="bad", description="x")])
    catch_up(one)
    one.close()
    assert [note.id for note in aside.notes(control, live.schema)] == ["worse", "bad"]
    done = heal(log, url, model=model_of(too_large_a_number, bad="worse"))
    assert done.healed == ["server/bad"]
    (left,) = done.left
    assert left.id == "worse" and "out of range" in left.error
    lag = Lag(log, url)
    assert lag.measure().set_aside == 1
    lag.close()
    assert heal(log, url).left == []


def test_what_is_no_record_is_passed_over(
    log: PostgresLog, url: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected failure: ``ProjectionDiffers``, for the first poll that returned nothing."""
    record(recorder)
    Rebuild(log, url, model=model_of(overflows)).run()
    let_hop(log, monkeypatch)
    assert heal(log, url).healed == ["server/bad"]
    assert verify.verify(log, url).equal


def test_a_log_that_lost_what_was_read_is_said(
    log: PostgresLog,
    url: str,
    control: Connection,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Expected failure: rows are made from half of their events."""
    record(recorder)
    Rebuild(log, url, model=model_of(overflows)).run()
    live = builds.live_build(control)
    assert live is not None
    with control.cursor() as cursor:
        cursor.execute(
            f"UPDATE {live.schema}.positions SET position = position + 1,"
            ' "offset" = "offset" + 1 WHERE position > 0'
        )
    monkeypatch.setattr("projections.heal.QUIET_S_MAX", 0.05)
    with pytest.raises(ProjectionDiffers, match="holds no event up to offset"):
        heal(log, url)
    assert [note.id for note in aside.notes(control, live.schema)] == ["bad"]


def test_nothing_live_nothing_to_heal(log: PostgresLog, url: str) -> None:
    with pytest.raises(ProjectionNotReady):
        heal(log, url)


def test_nothing_set_aside_nothing_read(log: PostgresLog, url: str, recorder: Recorder) -> None:
    recorder.append(boot("one"))
    Rebuild(log, url).run()
    assert heal(log, url, lambda events: pytest.fail("it read the log")).healed == []

"""Journals as the projections read them: terms, control records, the hash chain."""

from __future__ import annotations

from typing import Any

import pytest

from events import topics
from events.journal import Marked
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.message import MESSAGES
from projections import aside, builds, verify
from projections.aside import Waiting
from projections.connection import Connection
from projections.rebuild import rebuild
from tests.projections.recorder import START, Recorder, boot, created, power
from tests.projections.tables import catch_up, content, follower, forge, new_build, rows

EVENTS = topics.events("compute")
SOURCE = (EVENTS, 0)


def two_owners(recorder: Recorder) -> int:
    """A journal with two terms, marks, and late records of the first owner; how many events."""
    recorder.begin_term()
    recorder.append(boot("one"), 0, "req-1")
    recorder.control(Marked(at=START))
    first = recorder.begin_term()
    first.append([created("never")])
    recorder.append(power("one", START + 100), 0, "req-2")
    first.control(Marked(at=START + 1))
    first.append(boot("nor this one"))
    recorder.append(boot("two"), 0, "req-3")
    recorder.control(Marked(at=START + 2))
    return 14


@pytest.mark.parametrize("records_max", [1, 3, 1000])
def test_what_an_old_owner_wrote_late_is_passed_over(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, records_max: int
) -> None:
    events = two_owners(recorder)
    one = follower(log, url, new_build(control, log), records_max=records_max)
    catch_up(one)
    assert one.waiting == {}
    place = one.places[SOURCE]
    one.close()
    assert place.position == events
    assert place.offset == one_past_the_last(log)
    assert builds.places(control, "projection_1")[SOURCE] == place
    assert rows(control, "SELECT id FROM projection_1.servers ORDER BY 1") == [("one",), ("two",)]
    assert rows(control, "SELECT count(*) FROM projection_1.history") == [(events,)]


def one_past_the_last(log: PostgresLog) -> int:
    reader = log.reader({SOURCE: 0})
    try:
        return reader.ends()[SOURCE]
    finally:
        reader.close()


def test_a_follower_that_opens_again_goes_on_in_the_term_of_before(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    build = new_build(control, log)
    two_owners(recorder)
    one = follower(log, url, build, records_max=2)
    while one.behind():
        one.step(1.0)
        one.close()
        one.open()
    assert one.waiting == {} and one.places[SOURCE].position == 14
    one.close()


def test_rebuild_and_verify_keep_the_same_rules(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    events = two_owners(recorder)
    done = rebuild(log, url)
    assert done is not None and done.events == events
    found = verify.verify(log, url)
    assert found.equal and found.events == events


def test_an_event_that_was_changed_stops_its_partition_and_is_named(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    recorder.append(boot("one"))
    recorder.append(boot("two"), 1)
    build = new_build(control, log)
    forge(control, b"name of one", b"name of two")
    one = follower(log, url, build)
    catch_up(one)
    one.close()
    assert list(one.waiting) == [SOURCE]
    (found,) = aside.waiting(control, build.schema)
    assert (found.source, found.offset) == (SOURCE, 1)
    assert "offset 1 does not follow what lies before it" in found.error
    assert one.places[EVENTS, 1].position == 5


def test_a_gap_stops_its_partition_alone(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    records = [recorder.outgoing(event) for event in boot("one")]
    del records[2]
    log.append(records)
    recorder.append(boot("two"), 1)
    one = follower(log, url, new_build(control, log))
    catch_up(one)
    one.close()
    (found,) = aside.waiting(control, "projection_1")
    assert (found.source, found.offset) == (SOURCE, 2)
    assert f"{EVENTS}/0 offset 2 has position 4 where 3 must follow" in found.error
    assert [one.places[EVENTS, p].position for p in (0, 1)] == [2, 5]


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x00\x07abc", b"not avro"])
def test_a_record_that_cannot_be_read_stops_its_partition_alone(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, value: bytes
) -> None:
    recorder.append(boot("one"))
    good = recorder.outgoing(created("two"))
    log.append([Outgoing(good.topic, good.key, value, good.headers, 0)])
    recorder.append(boot("three"), 1)
    one = follower(log, url, new_build(control, log), records_max=2)
    catch_up(one)
    one.close()
    (found,) = aside.waiting(control, "projection_1")
    assert (found.source, found.offset) == (SOURCE, 5)
    assert f"{EVENTS}/0 offset 5 cannot be read" in found.error
    assert [one.places[EVENTS, p].position for p in (0, 1)] == [5, 5]


def test_a_partition_goes_on_once_its_record_can_be_read(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder, monkeypatch: Any
) -> None:
    recorder.append(boot("one") + power("one", START + 100))
    one = follower(log, url, new_build(control, log), retry_s=0)
    with monkeypatch.context() as older:
        older.delitem(MESSAGES, "compute.StopRequested")
        catch_up(one)
        assert list(one.waiting) == [SOURCE]
        assert [w.offset for w in aside.waiting(control, "projection_1")] == [5]
    one.step(1.0)
    assert one.waiting == {} and one.places[SOURCE].position == 9
    one.close()
    assert aside.waiting(control, "projection_1") == []


def test_a_wait_is_noted_once(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    good = recorder.outgoing(created("one"))
    log.append([Outgoing(good.topic, good.key, b"?", good.headers, 0)])
    one = follower(log, url, new_build(control, log), retry_s=0)
    catch_up(one)
    (before,) = aside.waiting(control, "projection_1")
    assert isinstance(before, Waiting)
    one.step(0.1)
    one.close()
    one.open()
    one.step(0.1)
    assert list(one.waiting) == [SOURCE]
    one.close()
    assert aside.waiting(control, "projection_1") == [before]
    assert content(control, "projection_1")["history"] == []


def test_what_lies_behind_a_bad_record_is_not_read_again_and_again(
    log: PostgresLog, url: str, control: Connection, recorder: Recorder
) -> None:
    good = recorder.outgoing(created("one"))
    log.append([Outgoing(good.topic, good.key, b"?", good.headers, 0)])
    for n in range(20):
        recorder.append(boot(f"server-{n}"))
    one = follower(log, url, new_build(control, log), records_max=10)
    assert one.step(1.0) == 10
    assert one.step(0.1) == 0 and not one.behind()
    recorder.append(boot("another"), 1)
    catch_up(one)
    one.close()
    assert one.places[EVENTS, 1].position == 5

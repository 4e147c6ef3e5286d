"""``chronova log verify``: the first record that does not fit is named, late ones are no damage."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
import typer
from psycopg2.extensions import parse_dsn

from chronova.cli import State
from chronova.inspect import chain
from chronova.inspect.chain import Walked
from chronova.inspect.tap import Wanted, tap
from chronova.settings import Settings, write
from chronova.verbs_of_truth import log_verify
from events import topics
from events.journal import Marked, TermBegan
from events.log.contract import Outgoing, TopicPartition
from events.log.postgres import PostgresLog
from projections.connection import connect
from tests.parts.hopping_reader import let_hop
from tests.projections.recorder import START, Recorder, boot, created, power
from tests.projections.tables import forge

EVENTS = topics.events("compute")
SOURCE = (EVENTS, 0)


def story(recorder: Recorder) -> int:
    """Two terms, marks, and late records of the first owner; how many events."""
    recorder.append(boot("zero"))
    recorder.begin_term()
    recorder.append(boot("one"))
    recorder.control(Marked(at=START))
    first = recorder.begin_term()
    first.append([created("late")])
    recorder.append(power("one", START + 100))
    first.control(Marked(at=START + 1))
    recorder.append(boot("two"))
    return 19


def verified(log: PostgresLog, source: TopicPartition = SOURCE, start: int | None = None) -> Walked:
    (_, end) = chain.spans(log, None, None)[source]
    passed: list[int] = []
    found = chain.verify(log, source, start, end, passed.append)
    assert found.offset is not None or sum(passed) == end - (start or 0)
    return found


def test_a_sound_log(log: PostgresLog, recorder: Recorder) -> None:
    events = story(recorder)
    found = verified(log)
    assert (found.partition, found.records, found.events) == (f"{EVENTS}/0", events + 5, events)
    assert found.offset is None and found.reason == ""
    assert verified(log, (EVENTS, 1)) == Walked(f"{EVENTS}/1", 0, 0)


def test_what_is_no_record_is_passed_over(
    log: PostgresLog, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected failure: "nothing can be read", for the first poll that returned nothing."""
    events = story(recorder)
    let_hop(log, monkeypatch)
    found = verified(log)
    assert (found.events, found.offset, found.reason) == (events, None, "")


def test_it_may_begin_anywhere(log: PostgresLog, recorder: Recorder) -> None:
    story(recorder)
    (_, end) = chain.spans(log, None, None)[SOURCE]
    for start in range(end + 1):
        assert verified(log, start=start).offset is None, start


@pytest.mark.parametrize("start", [None, 2])
def test_a_changed_event_is_found_at_the_next_one(
    log: PostgresLog, url: str, recorder: Recorder, start: int | None
) -> None:
    story(recorder)
    with closing(connect(url, "test")) as control:
        forge(control, b"name of one", b"name of onx")
    found = verified(log, start=start)
    assert found.offset == 7
    assert "offset 7 does not follow what lies before it" in found.reason


@pytest.mark.parametrize("kind", [TermBegan, Marked])
def test_a_control_record_that_no_decider_reads_is_found(
    log: PostgresLog, recorder: Recorder, kind: type[TermBegan | Marked]
) -> None:
    recorder.begin_term()
    headers = {"ce_type": f"chronova.{kind.type_name}", "ce_term": "0"}
    log.append([Outgoing(EVENTS, "journal", b"garbage", headers, 0)])
    found = verified(log)
    assert (found.offset, found.events) == (1, 0)
    assert "the control record at compute.events/0 offset 1 cannot be read" in found.reason


def test_a_span_of_time(log: PostgresLog, recorder: Recorder) -> None:
    recorder.append(boot("one"))
    reader = log.reader({SOURCE: 0})
    with closing(reader):
        records = reader.poll(5.0)
    at = records[-1].timestamp
    assert chain.spans(log, at + 1, None)[SOURCE] == (5, 5)
    assert chain.spans(log, records[0].timestamp, at)[SOURCE] == (0, 5)


def test_the_verb_says_which_and_ends_with_1(
    log: PostgresLog,
    url: str,
    recorder: Recorder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story(recorder)
    parts = parse_dsn(url)
    name = f"postgresql:///{parts['dbname']}?host={parts['host']}&user={parts['user']}"
    write(Settings(data=str(tmp_path), database=name, partitions=2))
    monkeypatch.setattr(State, "data", str(tmp_path))
    log_verify()
    assert "19 events in 7 partitions: each follows the one before it" in capsys.readouterr().out
    with closing(connect(url, "test")) as control:
        forge(control, b"name of one", b"name of onx")
    with pytest.raises(typer.Exit) as ended:
        log_verify(json=True)
    assert ended.value.exit_code == 1
    told = json.loads(capsys.readouterr().out)
    assert [p["offset"] for p in told["partitions"] if p["reason"]] == [7]
    with pytest.raises(typer.Exit) as ended:
        log_verify(since="yesterday")
    assert ended.value.exit_code == 2


def test_tap_shows_what_counts(log: PostgresLog, recorder: Recorder) -> None:
    events = story(recorder)
    shown = list(tap(log, Wanted(), [EVENTS], True, False, lambda: False))
    assert len(shown) == events
    assert "late" not in {one["body"].get("server_id") for one in shown}
    began = list(tap(log, Wanted(type="TermBegan"), [EVENTS], True, False, lambda: False))
    assert [one["body"]["owner"] for one in began] == ["host:1", "host:1"]

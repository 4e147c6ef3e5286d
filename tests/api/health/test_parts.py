"""The projection's part: what is set aside and what waits makes it degraded, not ill."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from api.health.checks import DEGRADED, Checks, Ill
from api.health.parts import LAG_S_MAX, parts
from events import topics
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from projections import builds
from projections.aside import ID_CHARS_MAX
from projections.connection import connect
from projections.lag import Lag
from projections.rebuild import Rebuild
from tests.api.health.test_checks import client
from tests.parts.fresh_database import fresh_database
from tests.projections.recorder import Recorder, boot, created
from tests.projections.test_aside import model_of, too_large_a_number

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

EVENTS = (topics.events("compute"), 0)
UNUSED: Any = None
"""What the part that is asked does not need."""


def test_what_is_not_shown_is_said(database: PostgresServer) -> None:
    with fresh_database(database.url) as url, closing(PostgresLog(url)) as log:
        log.create_topics(topics.all_topics(2))
        recorder = Recorder(log)
        recorder.append(boot("bad") + boot("two"))
        bad = recorder.outgoing(created("three"), 1)
        log.append([Outgoing(bad.topic, bad.key, b"?", bad.headers, 1)])
        Rebuild(log, url, model=model_of(too_large_a_number)).run()
        check = parts(log, url, UNUSED, UNUSED, UNUSED)["projection"]
        with pytest.raises(Ill, match="no projector follows the log"):
            check()
        with closing(connect(url, "test")) as control:
            live = builds.live_build(control)
            assert live is not None and builds.hold(control, live.build, 1.0)
            found = check()
    assert (found["set_aside"], found["set_aside_named"]) == (1, ["server/bad"])
    assert list(found["waiting"]) == ["compute.events/1"]
    assert "offset 0 cannot be read" in found["waiting"]["compute.events/1"]
    told = "1 aggregates are set aside: server/bad; partitions wait: compute.events/1"
    assert found[DEGRADED] == told
    assert found["behind"] == 0, "what waits is not counted as late"


def test_what_is_set_aside_is_named_within_bounds(database: PostgresServer) -> None:
    """Expected failure: nothing is named, or the body grows with what is set aside."""
    with fresh_database(database.url) as url, closing(PostgresLog(url)) as log:
        log.create_topics(topics.all_topics(1))
        Recorder(log).append(boot("bad") + boot("two"))
        Rebuild(log, url, model=model_of(too_large_a_number)).run()
        with closing(connect(url, "test")) as control:
            live = builds.live_build(control)
            assert live is not None and builds.hold(control, live.build, 1.0)
            with control.cursor() as cursor:
                for n in range(6):
                    cursor.execute(
                        f"INSERT INTO {live.schema}.set_aside SELECT %s, aggregate, %s, topic,"
                        f" partition, event, error, since + %s, 1 FROM {live.schema}.set_aside"
                        " WHERE id = 'bad'",
                        (f"name-{n}", f"{n}" * 5000, 1 + n),
                    )
            found = parts(log, url, UNUSED, UNUSED, UNUSED)["projection"]()
    assert found["set_aside"] == 7
    named = ["server/bad", *(f"server/{f'{n}' * ID_CHARS_MAX}" for n in range(4))]
    assert found["set_aside_named"] == named
    assert found[DEGRADED] == f"7 aggregates are set aside: {', '.join(named)} and 2 more"


def test_a_frozen_projector_is_ill_once_reads_are_too_old(
    database: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected failure: a projector that still has its build, and reads nothing, is called well."""
    now = [0]
    monkeypatch.setattr(
        "api.health.parts.Lag", lambda log, url: Lag(log, url, clock=lambda: now[0])
    )
    with fresh_database(database.url) as url, closing(PostgresLog(url)) as log:
        log.create_topics(topics.all_topics(1))
        recorder = Recorder(log)
        recorder.append(boot("one"))
        Rebuild(log, url).run()
        unread = boot("two")
        asked = parts(log, url, UNUSED, UNUSED, UNUSED)
        api = client(Checks({"projection": asked["projection"]}, limit_s=30.0, kept_s=0.0))
        with closing(connect(url, "test")) as frozen:
            live = builds.live_build(frozen)
            assert live is not None and builds.hold(frozen, live.build, 1.0)
            assert api.simulate_get("/healthz").json["status"] == "ok"
            offset = log.ends([EVENTS])[EVENTS]
            recorder.append(unread)
            with closing(log.reader({EVENTS: offset})) as reader:
                (record,) = reader.poll(30.0, 1)
            now[0] = record.timestamp + int((LAG_S_MAX - 0.1) * 1e6)
            young = api.simulate_get("/healthz").json
            now[0] += 200_000
            old = api.simulate_get("/healthz")
    assert (young["status"], young["parts"]["projection"]["figures"]["behind"]) == (
        "ok",
        len(unread),
    )
    assert (old.status_code, old.json["ill"]) == (503, ["projection"])
    assert old.json["parts"]["projection"]["reason"] == "reads are 5 s behind the log"

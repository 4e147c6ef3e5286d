"""A request that was refused is shown as long as that is kept, and then said to be gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import create_engine

from chronova.domains import load_handlers, load_projections
from chronova.inspect.refused import request_story
from chronova.inspect.story import CLIENT, UnknownSubject
from commands.compute.flavor import DeleteFlavor
from events import topics
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.log.records import Codec, headers
from events.message import Context
from handlers.decider import Decider
from projections.table import METADATA

CODEC = Codec()
KEPT_S = 2_592_000

load_handlers()
load_projections()


@pytest.fixture
def request_id(log: PostgresLog) -> Iterator[str]:
    """A request that a decider has refused."""
    with closing(Decider(log, ["compute"])) as decider:
        while decider.states("compute", 0, "flavor") is None:
            decider.step(0.1)
        context = Context(id="c-1", time=1, request_id="req-1", user_id="u", project_id="p")
        command = DeleteFlavor(flavor_id="none")
        made = headers(context, command.type_name, "/test")
        topic = topics.commands("compute")
        log.append([Outgoing(topic, "k", CODEC.encode(command), made, 0)])
        while not log.ends([(topics.refusals("compute"), 0)])[topics.refusals("compute"), 0]:
            decider.step(0.1)
        yield context.request_id


def test_a_refused_request_is_traced_as_long_as_it_is_kept(
    log: PostgresLog, url: str, request_id: str
) -> None:
    engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(url))
    METADATA.create_all(engine)
    try:
        (step,) = request_story(engine, log, request_id, KEPT_S)
        assert (step.type, step.sender, step.decider) == ("CommandRefused", CLIENT, "Compute")
        assert step.fields["status"] == 404 and step.user_id == "u"
        cut(log, url)
        with pytest.raises(UnknownSubject, match="older than 30 days is no longer kept"):
            request_story(engine, log, request_id, KEPT_S)
    finally:
        engine.dispose()


def cut(log: PostgresLog, url: str) -> None:
    """Let the time of all refusals be over, as after 30 days."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'record'")
        (schema,) = (row[0] for row in cursor.fetchall())
        cursor.execute(f'UPDATE {schema}.record SET "timestamp" = 1')
        cursor.execute(f"UPDATE {schema}.partition SET last_timestamp = 1")
        cursor.execute(f"SELECT {schema}.trim(100)")
    assert log.offset_at((topics.refusals("compute"), 0), 0) is None

"""The bus on a real log, with a real decider and a real projector behind it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import commands.compute
import handlers.reactions
from api.bus import Actor, Refused, Unavailable
from api.log_bus import LogBus
from commands.compute.flavor import CreateFlavor, DescribeFlavor
from events import topics
from events.compute.flavor import FlavorCreated
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.message import Message
from events.topics import all_topics
from handlers.decider import Decider, run
from projections.connection import Connection, connect
from projections.projector import Projector
from projections.waiting import PositionWaiter
from tests.parts.fresh_database import fresh_database

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

assert commands.compute and handlers.reactions  # imported for what they register

ACTOR = Actor("user", "project", "req-11111111-2222-3333-4444-555555555555")
KEY = "flavors"
LIMIT_S = 30.0


class Site:
    """A log with its processes, each in a thread, started when a test wants it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.log = PostgresLog(url)
        self.log.create_topics(all_topics(3))

    def bus(self, log: PostgresLog | None = None, **options: float) -> LogBus:
        """A bus; to be closed."""
        return LogBus(log or self.log, PositionWaiter(self.url), **options)  # type: ignore[arg-type]

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """A decider for compute."""
        stopped = threading.Event()
        decider = Decider(self.log, ["compute"])
        thread = threading.Thread(target=run, args=(decider, stopped.is_set, stopped.wait))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            decider.wake()
            thread.join(LIMIT_S)
            decider.close()

    @contextmanager
    def projecting(self) -> Iterator[None]:
        """A projector."""
        projector = Projector(self.log, self.url)
        thread = threading.Thread(target=projector.run)
        thread.start()
        try:
            yield
        finally:
            projector.stop()
            thread.join(LIMIT_S)


@pytest.fixture
def site(database: PostgresServer) -> Iterator[Site]:
    with fresh_database(database.url) as url:
        made = Site(url)
        yield made
        made.log.close()


@pytest.fixture
def control(site: Site) -> Iterator[Connection]:
    connection = connect(site.url, "test")
    yield connection
    connection.close()


@contextmanager
def closing(bus: LogBus) -> Iterator[LogBus]:
    try:
        yield bus
    finally:
        bus.close()


def flavor(name: str, **more: Any) -> CreateFlavor:
    return CreateFlavor(flavor_id=name, name=name, vcpus=1, ram_mib=64, root_gib=0, **more)


def together(work: Callable[[int], object], count: int) -> list[object]:
    """Run ``work(n)`` in that many threads; what each gave or raised."""
    results: list[object] = [None] * count

    def one(n: int) -> None:
        try:
            results[n] = work(n)
        except (Refused, Unavailable) as error:
            results[n] = error

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    return results


def test_what_is_accepted_shows_and_what_is_refused_says_why(
    site: Site, control: Connection
) -> None:
    with site.deciding(), site.projecting(), closing(site.bus(visible_timeout_s=LIMIT_S)) as bus:

        def create(n: int) -> object:
            bus.send(flavor(f"f{n}"), KEY, ACTOR)
            with connect(site.url, "read").cursor() as cursor:
                cursor.execute("SELECT name FROM projection_live.flavors WHERE id = %s", (f"f{n}",))
                return cursor.fetchone()

        assert together(create, 20) == [(f"f{n}",) for n in range(20)]
        with pytest.raises(Refused) as refused:
            bus.send(flavor("f3"), KEY, ACTOR)
        assert refused.value.status == 409
        assert "f3" in refused.value.detail
        with pytest.raises(Refused) as unknown:
            bus.send(DescribeFlavor(flavor_id="none", description="x"), KEY, ACTOR)
        assert unknown.value.status == 404
        bus.send(flavor("last"), KEY, ACTOR)
    with control.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT request_id, user_id, project_id FROM projection_live.history"
        )
        assert cursor.fetchall() == [(ACTOR.request_id, "user", "project")]
        cursor.execute("SELECT type, count(*) FROM projection_live.history GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("compute.FlavorCreated", 21)]


def test_without_a_decider_the_wait_ends_with_503(site: Site) -> None:
    with closing(site.bus(decision_timeout_s=0.3)) as bus:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="No decision was made in time") as raised:
            bus.send(flavor("f"), KEY, ACTOR)
        assert 0.3 <= time.monotonic() - began < LIMIT_S
        assert raised.value.retry_after_s >= 1


def test_without_a_projector_an_accepted_command_is_accepted(site: Site) -> None:
    with site.deciding(), closing(site.bus(visible_timeout_s=0.2)) as bus:
        bus.send(flavor("f"), KEY, ACTOR)
        with pytest.raises(Refused, match="already exists"):
            bus.send(flavor("f"), KEY, ACTOR)


def test_what_is_accepted_and_does_not_show_is_known_until_it_does(site: Site) -> None:
    """A read that finds nothing then says so, and not that there is no such thing."""
    with site.deciding(), closing(site.bus(visible_timeout_s=0.01)) as bus:
        assert ACTOR.project_id not in bus.unseen
        bus.send(flavor("f"), KEY, ACTOR)
        assert ACTOR.project_id in bus.unseen
        assert "another" not in bus.unseen
        with site.projecting():
            until = time.monotonic() + LIMIT_S
            while ACTOR.project_id in bus.unseen:
                assert time.monotonic() < until
                threading.Event().wait(0.01)


def test_beyond_the_bound_the_answer_is_503_at_once(site: Site) -> None:
    with closing(site.bus(decision_timeout_s=1.0, in_flight_max=3)) as bus:
        results = together(lambda n: bus.send(flavor(f"f{n}"), KEY, ACTOR), 8)
        texts = sorted(str(getattr(result, "detail", result)) for result in results)
        assert (
            texts
            == ["No decision was made in time."] * 3 + ["Too many requests are under way."] * 5
        )
    with site.deciding(), site.projecting(), closing(site.bus(in_flight_max=3)) as bus:
        bus.send(flavor("later"), KEY, ACTOR)


class GatedLog(PostgresLog):
    """Its first append waits until it is let through."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.first = threading.Event()
        self.gate = threading.Event()
        self.sizes: list[int] = []

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        self.sizes.append(len(records))
        if len(self.sizes) == 1:
            self.first.set()
            assert self.gate.wait(LIMIT_S)
        return super().append(records, timeout_s)


def test_what_comes_while_one_writes_is_written_together(site: Site) -> None:
    log = GatedLog(site.url)
    with site.deciding(), closing(site.bus(log, visible_timeout_s=0.01)) as bus:
        lone = threading.Thread(target=bus.send, args=(flavor("lone"), KEY, ACTOR))
        lone.start()
        assert log.first.wait(LIMIT_S)
        crowd = [
            threading.Thread(target=bus.send, args=(flavor(f"f{n}"), KEY, ACTOR)) for n in range(9)
        ]
        for thread in crowd:
            thread.start()
        deadline = time.monotonic() + LIMIT_S
        while len(bus._appender._queue) < 9 and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        log.gate.set()
        for thread in [lone, *crowd]:
            thread.join(LIMIT_S)
    assert log.sizes == [1, 9]
    log.close()


def test_one_send_is_one_append(site: Site) -> None:
    log = GatedLog(site.url)
    log.gate.set()
    with site.deciding(), closing(site.bus(log, visible_timeout_s=0.01)) as bus:
        for n in range(3):
            bus.send(flavor(f"f{n}"), KEY, ACTOR)
    assert log.sizes == [1, 1, 1]
    log.close()


def test_a_command_over_the_limit_is_refused_and_troubles_nobody(site: Site) -> None:
    log = PostgresLog(site.url, record_bytes_max=2000)
    with site.deciding(), site.projecting(), closing(site.bus(log)) as bus:
        with pytest.raises(Refused, match="larger than the log accepts") as refused:
            bus.send(flavor("large", description="x" * 2000), KEY, ACTOR)
        assert refused.value.status == 413
        bus.send(flavor("small"), KEY, ACTOR)
    log.close()


@pytest.mark.parametrize("younger", [CreateFlavor, FlavorCreated])
def test_what_needs_a_level_that_is_not_enabled_is_503(
    site: Site, younger: type[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command cannot be sent, or its fact cannot be written."""
    with site.deciding(), site.projecting(), closing(site.bus()) as bus:
        with monkeypatch.context() as patch:
            patch.setattr(younger, "since_level", 2)
            with pytest.raises(Unavailable, match="needs feature level 2, and 1 is enabled"):
                bus.send(flavor("early"), KEY, ACTOR)
        bus.send(flavor("early"), KEY, ACTOR)


def test_a_log_that_is_away_is_503_and_then_it_goes_on(
    database: PostgresServer, site: Site
) -> None:
    with site.deciding(), site.projecting(), closing(site.bus(decision_timeout_s=2.0)) as bus:
        bus.send(flavor("before"), KEY, ACTOR)
        database.stop()
        try:
            with pytest.raises(Unavailable):
                bus.send(flavor("meanwhile"), KEY, ACTOR)
        finally:
            database.start()
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                bus.send(flavor(f"after-{uuid.uuid4()}"), KEY, ACTOR)
                break
            except Unavailable:
                assert time.monotonic() < deadline


def test_closing_ends_what_waits_and_every_thread(site: Site) -> None:
    bus = site.bus(decision_timeout_s=LIMIT_S)
    results: list[object] = []
    waiting = threading.Thread(
        target=lambda: results.extend(together(lambda n: bus.send(flavor("f"), KEY, ACTOR), 2))
    )
    waiting.start()
    reader = site.log.reader({(topics.commands("compute"), n): 0 for n in range(3)})
    seen = 0
    while seen < 2:
        seen += len(reader.poll(LIMIT_S))
    reader.close()
    bus.close()
    bus.close()
    waiting.join(5)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert not [t for t in threading.enumerate() if t.name in ("replies", "positions")]
    with pytest.raises(Unavailable, match="shutting down"):
        bus.send(flavor("f"), KEY, ACTOR)

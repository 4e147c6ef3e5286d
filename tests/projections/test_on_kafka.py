"""The same on Kafka: read in its batches, with what an owner leaves that has lost its term."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

from events import topics
from events.journal import Marked
from events.log.contract import Topic
from events.log.kafka import KafkaLog
from projections import aside, builds
from projections.connection import Connection
from projections.follower import Follower
from projections.heal import heal
from projections.model import ReadModel, read_model
from projections.projector import Projector
from projections.rebuild import Progress, Rebuild
from projections.verify import verify
from projections.waiting import PositionWaiter
from tests.projections.recorder import START, Recorder, boot, deletion, power
from tests.projections.tables import catch_up, content, rows
from tests.projections.test_aside import model_of, overflows, record
from tests.projections.test_journals import two_owners

if TYPE_CHECKING:
    from tests.parts.broker import Broker

LIMIT_S = 60.0


def test_projected_rebuilt_and_verified(broker: Broker, url: str, control: Connection) -> None:
    domain = f"domain{uuid.uuid4().hex[:8]}"
    events = topics.events(domain)
    model = read_model()
    only = ReadModel(model.metadata, model.projected, model.aggregates, {}, (domain,))
    log = KafkaLog(broker.bootstrap)
    log.create_topics([Topic(events, 2)])
    recorder = Recorder(log)
    for n in range(20):
        story = boot(f"server-{n}", START + n, f"project-{n % 2}")
        log.append(recorder.all(story, n % 2, f"req-{n}", domain))
    waiter = PositionWaiter(url)
    projector = Projector(log, url, model=only)
    thread = threading.Thread(target=projector.run)
    thread.start()
    try:
        for partition in range(2):
            assert waiter.wait(events, partition, 50, LIMIT_S)
        for n in range(20):
            more = power(f"server-{n}", START + 500)
            more += deletion(f"server-{n}", START + 600, f"project-{n % 2}") if n % 4 == 0 else []
            log.append(recorder.all(more, n % 2, f"req-more-{n}", domain))
        reached = recorder.positions
        for partition in range(2):
            assert waiter.wait(events, partition, reached[events, partition], LIMIT_S)
        shown: list[Progress] = []
        done = Rebuild(log, url, model=only).run(shown.append)
        assert done is not None
        assert done.events == sum(reached.values()) and done.differing == {}
        assert shown[-1].total == done.events, "records are counted, not offsets"
        found = rows(control, 'SELECT sum("offset"), sum(position) FROM projection_live.positions')
        assert found[0][0] == found[0][1] == done.events
    finally:
        projector.stop()
        thread.join(LIMIT_S)
        waiter.close()
    assert verify(log, url, model=only).equal
    log.close()


def test_what_was_set_aside_is_healed(broker: Broker, url: str, control: Connection) -> None:
    """With control records and void ones, and one of each at the end: a place in the log is more
    than the events before it."""
    domain = f"domain{uuid.uuid4().hex[:8]}"
    source = (topics.events(domain), 0)

    def only(model: ReadModel) -> ReadModel:
        return ReadModel(model.metadata, model.projected, model.aggregates, {}, (domain,))

    log = KafkaLog(broker.bootstrap)
    log.create_topics([Topic(source[0], 1)])
    recorder = Recorder(log, domain)
    recorder.begin_term()
    record(recorder)
    old = recorder.begin_term()
    old.append(boot("void"))
    ill = only(model_of(overflows))
    Rebuild(log, url, model=ill).run()
    recorder.append(deletion("server-05", START + 900), 0, "req-delete")
    recorder.append(power("bad", START + 800), 0, "req-more")
    old.append(boot("void too"))
    recorder.control(Marked(at=START + 1000))
    live = builds.live_build(control)
    assert live is not None
    one = Follower(log, url, live, [source], ill)
    one.open()
    catch_up(one)
    assert [note.id for note in aside.notes(control, live.schema)] == ["bad"]
    read: list[int] = []
    well = only(read_model())
    done = heal(log, url, read.append, model=well)
    assert (done.healed, done.left) == (["server/bad"], [])
    assert sum(read) == one.places[source].position
    assert verify(log, url, model=well).equal
    healed = content(control, "projection_live")
    one.close()
    Rebuild(log, url, model=well).run()
    assert content(control, "projection_live") == healed
    log.close()


def test_journals_on_kafka(broker: Broker, url: str, control: Connection) -> None:
    """Terms, control records and void ones; a follower that opens again in the middle."""
    domain = f"domain{uuid.uuid4().hex[:8]}"
    source = (topics.events(domain), 0)
    model = read_model()
    only = ReadModel(model.metadata, model.projected, model.aggregates, {}, (domain,))
    log = KafkaLog(broker.bootstrap)
    log.create_topics([Topic(source[0], 1)])
    events = two_owners(Recorder(log, domain))
    builds.install(control)
    build = builds.create(control, only, log.identity(), [source])
    one = Follower(log, url, build, [source], only, records_max=4)
    one.open()
    while one.behind():
        one.step(1.0)
        one.close()
        one.open()
    assert one.waiting == {}
    assert one.places[source].position == events
    one.close()
    log.close()

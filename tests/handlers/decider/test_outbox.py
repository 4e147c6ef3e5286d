"""Effects on their way: what cannot be reached holds back only what goes there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from commands.compute.ping import Ping
from events import topics
from events.bounds import OutOfBounds
from events.features import Levels
from events.log.contract import (
    LogError,
    LogUnavailable,
    Outgoing,
    RecordTooLarge,
    TopicMismatch,
    TopicPartition,
    Unstorable,
)
from events.log.memory import MemoryLog
from events.log.records import Codec
from events.message import Context
from handlers.decider.delivered import HELD_MAX
from handlers.decider.effects import Effect
from handlers.decider.marks import Marks
from handlers.decider.outbox import Outbox
from handlers.decider.receiver import (
    AWAY_MAX_S,
    HELD_BACK_MAX,
    HOST_MISSING_MAX_S,
    REPLIES_MAX_S,
)
from tests.handlers.decider.site import CODEC, HOST, Site

JOURNAL = ("compute.events", 0)
AWAY, THERE = ("compute.commands", 0), ("compute.commands", 1)
HANG_S = 20.0
"""Beyond this a test has failed."""


def effect(target: TopicPartition, offset: int) -> Effect:
    context = Context(id=f"compute.events/0/{offset}>0", time=1)
    source = "/chronova/compute.events/0"
    return Effect(target, "key", Ping(key="key"), context, source, offset=offset)


class Refusing(MemoryLog):
    """A log that raises ``error`` for what goes to one partition, as long as there is one."""

    def __init__(self, site: Site, target: TopicPartition, error: LogError | None) -> None:
        super().__init__(cluster=site.cluster, process="relay")
        self.target = target
        self.error = error
        self.hang: Callable[[], object] = lambda: None
        """Called before it refuses what goes there alone."""

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        targets = {(record.topic, record.partition) for record in records}
        if self.error is not None and self.target in targets:
            if len(targets) == 1:
                self.hang()
            if self.error is not None:
                raise self.error
        return super().append(records, timeout_s)


def outbox_of(site: Site, log: MemoryLog, codec: Codec = CODEC) -> Outbox:
    return Outbox(
        log, codec, appended=lambda target, offset: None, clock=lambda: site.now / 1_000_000
    )


def deliver(site: Site, outbox: Outbox, seconds: float = 0.0) -> None:
    """Let the relay do all that is due after so long."""
    site.now += int(seconds * 1_000_000)
    while outbox.step():
        pass


def ids(site: Site, target: TopicPartition) -> list[str]:
    return [record.headers["ce_id"] for record in site.records(*target)]


def test_a_partition_that_is_away_holds_back_only_what_goes_there() -> None:
    """All receivers waited for as long as one of them was away."""
    site = Site(partitions=2)
    log = Refusing(site, AWAY, LogUnavailable("nobody leads it"))
    outbox = outbox_of(site, log)
    outbox.put(JOURNAL, [effect(AWAY, 1), effect(THERE, 2), effect(AWAY, 3)])
    outbox.reached(JOURNAL, 5, -1)
    deliver(site, outbox)
    outbox.put(JOURNAL, [effect(THERE, 4)])
    deliver(site, outbox)
    assert ids(site, THERE) == ["compute.events/0/2>0", "compute.events/0/4>0"]
    assert outbox.troubles() == ["compute.commands/0 cannot take 2 records: nobody leads it"]
    assert outbox.progress(JOURNAL) == (5, [1, 3])
    log.error = None
    deliver(site, outbox, seconds=10)
    assert ids(site, AWAY) == ["compute.events/0/1>0", "compute.events/0/3>0"]
    assert outbox.troubles() == []
    assert outbox.progress(JOURNAL) == (5, [])


def test_an_append_that_hangs_holds_back_no_other() -> None:
    site = Site(partitions=2)
    log = Refusing(site, AWAY, LogUnavailable("nobody leads it"))
    let_go, there = threading.Event(), threading.Event()
    in_vain: list[bool] = []
    log.hang = lambda: in_vain.append(not let_go.wait(HANG_S))

    def appended(target: TopicPartition, offset: int) -> None:
        if target == THERE and offset == 1:
            there.set()

    outbox = Outbox(log, CODEC, appended=appended, threaded=True)
    relay = threading.Thread(target=outbox.run)
    relay.start()
    try:
        outbox.put(JOURNAL, [effect(AWAY, 1), effect(THERE, 2)])
        outbox.put(JOURNAL, [effect(THERE, 3)])
        assert there.wait(HANG_S), "what goes elsewhere waits as well"
        assert in_vain == []
    finally:
        log.error = None
        let_go.set()
        outbox.close()
        relay.join(HANG_S)


UNLED = LogUnavailable("nobody leads it")
MISSING = TopicMismatch("there is no such topic")
DENIED = LogError("SQLSTATE 42501")
DAY_S = 24 * 3600


@pytest.mark.parametrize("error", [UNLED, MISSING, DENIED])
def test_commands_are_waited_for_however_long(error: LogError) -> None:
    """What releases room is said by nobody else. After an hour it was given up, and counted as
    delivered, where the log said anything else than that it is away."""
    site = Site(partitions=2)
    log = Refusing(site, AWAY, error)
    outbox = outbox_of(site, log)
    outbox.put(JOURNAL, [effect(AWAY, 1)])
    outbox.reached(JOURNAL, 1, -1)
    deliver(site, outbox)
    for _ in range(2):
        deliver(site, outbox, seconds=DAY_S)
    assert outbox.progress(JOURNAL) == (1, [1])
    assert len(outbox.troubles()) == 1
    log.error = None
    deliver(site, outbox, seconds=10)
    assert ids(site, AWAY) == ["compute.events/0/1>0"]


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ([MISSING, MISSING], False),
        ([UNLED, UNLED], True),
        ([DENIED, DENIED], True),
        ([UNLED, MISSING], True),
        ([MISSING, DENIED], True),
    ],
)
def test_work_is_given_up_for_a_host_that_has_not_existed_for_an_hour(
    errors: list[LogError], kept: bool
) -> None:
    """The deadlines of what was to be done there have passed. A topic that is only away, or may
    not be written, is that of a host that exists."""
    site = Site()
    host = (topics.dispatch(HOST), 0)
    log = Refusing(site, host, errors[0])
    outbox = outbox_of(site, log)
    outbox.put(JOURNAL, [effect(host, 1)])
    outbox.reached(JOURNAL, 1, -1)
    deliver(site, outbox)
    log.error = errors[1]
    deliver(site, outbox, seconds=HOST_MISSING_MAX_S + 1)
    assert outbox.progress(JOURNAL) == (1, [1] if kept else [])
    log.error = None
    deliver(site, outbox, seconds=10)
    assert ids(site, host) == (["compute.events/0/1>0"] if kept else [])


class Choosy(MemoryLog):
    """A log that raises ``error`` for the records with one id."""

    poison, error = "compute.events/0/2>0", LogError()

    def append(self, records: Sequence[Outgoing], timeout_s: float = 10.0) -> Sequence[int]:
        if any(record.headers["ce_id"] == self.poison for record in records):
            raise self.error
        return super().append(records, timeout_s)


@pytest.mark.parametrize(
    "error", [RecordTooLarge("2 MiB"), Unstorable("a NUL"), OutOfBounds("too long")]
)
def test_what_can_never_be_written_holds_back_nothing_and_is_logged(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it cannot be encoded or the log takes no such record."""
    site = Site(partitions=2)
    log = Choosy(cluster=site.cluster, process="relay")
    if isinstance(error, LogError):
        monkeypatch.setattr(log, "error", error)
    else:
        right = Effect.record

        def record(self: Effect, codec: Codec) -> Outgoing:
            if self.context.id == Choosy.poison:
                raise error
            return right(self, codec)

        monkeypatch.setattr(Effect, "record", record)
    outbox = outbox_of(site, log)
    outbox.put(JOURNAL, [effect(THERE, n) for n in (1, 2, 3)])
    outbox.reached(JOURNAL, 3, -1)
    with capture_logs() as logged:
        for _ in range(4):
            deliver(site, outbox, seconds=10)
    assert ids(site, THERE) == ["compute.events/0/1>0", "compute.events/0/3>0"]
    assert outbox.progress(JOURNAL) == (3, [])
    assert outbox.troubles() == []
    (given_up,) = [one for one in logged if one["event"] == "delivery_given_up"]
    assert (given_up["effect"], given_up["id"]) == ("compute.Ping", Choosy.poison)
    assert given_up["exc_info"] is error


def test_a_receiver_that_is_away_is_forgotten_with_all_that_waits_for_it() -> None:
    """Another process owns the journals now: it was named as one that cannot take 0 records."""
    site = Site(partitions=2)
    outbox = outbox_of(site, Refusing(site, AWAY, UNLED))
    outbox.put(JOURNAL, [effect(AWAY, 1)])
    deliver(site, outbox)
    assert len(outbox.troubles()) == 1
    outbox.forget(JOURNAL)
    assert outbox.troubles() == []


def test_a_defect_ends_the_relay() -> None:
    """Not only the thread that met it, with the receiver that it was sending to."""
    site = Site(partitions=2)
    log = Refusing(site, AWAY, LogUnavailable("nobody leads it"))
    outbox = Outbox(log, CODEC, appended=lambda target, offset: None, threaded=True)
    defect = ZeroDivisionError()

    def fail() -> None:
        raise defect

    log.hang = fail
    outbox.put(JOURNAL, [effect(AWAY, 1), effect(THERE, 2)])
    with pytest.raises(ZeroDivisionError):
        outbox.run()


def test_answers_wait_a_minute_for_senders_that_are_away() -> None:
    site = Site(partitions=2)
    sender = (topics.REPLIES, 0)
    log = Refusing(site, sender, LogUnavailable("nobody leads it"))
    outbox = outbox_of(site, log)
    outbox.put(JOURNAL, [effect(sender, 1)])
    outbox.reached(JOURNAL, 1, -1)
    deliver(site, outbox)
    assert len(outbox.troubles()) == 1
    deliver(site, outbox, seconds=REPLIES_MAX_S + 1)
    assert outbox.troubles() == []
    assert outbox.progress(JOURNAL) == (1, [])


def test_what_needs_a_level_waits_until_it_is_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade may take days. After an hour it was given up."""
    monkeypatch.setattr(Ping, "since_level", 2)
    site = Site(partitions=2)
    levels = Levels(2, clock=lambda: site.now / 1_000_000)
    outbox = outbox_of(site, site.log("relay"), Codec(levels=levels))
    outbox.put(JOURNAL, [effect(THERE, 1)])
    deliver(site, outbox)
    deliver(site, outbox, seconds=24 * 3600)
    (trouble,) = outbox.troubles()
    assert "needs feature level 2" in trouble
    levels.saw(Ping(key="key"))
    deliver(site, outbox, seconds=10)
    assert ids(site, THERE) == ["compute.events/0/1>0"]
    assert outbox.troubles() == []


def test_a_mark_names_a_bounded_number_of_offsets() -> None:
    """Beyond it less counts as delivered: a later owner derives that once more. A header of a mark
    would else grow with all that waits for a partition."""
    site = Site(partitions=2)
    outbox = outbox_of(site, Refusing(site, AWAY, LogUnavailable("nobody leads it")))
    waiting = HELD_MAX + 10
    outbox.put(JOURNAL, [effect(AWAY, 2 * n) for n in range(waiting)])
    outbox.reached(JOURNAL, 2 * waiting, -1)
    deliver(site, outbox)
    delivered, held = outbox.progress(JOURNAL)
    assert (delivered, held) == (2 * HELD_MAX - 1, [2 * n for n in range(HELD_MAX)])
    assert len(Marks(delivered=delivered, held=held).encode()) < 8_000


def test_a_journal_of_which_too_much_waits_is_stuck_until_its_receiver_is_back() -> None:
    """What waits was kept in memory without a bound."""
    site = Site(partitions=2)
    log = Refusing(site, AWAY, LogUnavailable("nobody leads it"))
    outbox = outbox_of(site, log)
    other = ("fleet.events", 0)
    outbox.put(JOURNAL, [effect(AWAY, n) for n in range(HELD_BACK_MAX)])
    outbox.put(other, [effect(AWAY, 1), effect(THERE, 2)])
    assert outbox.stuck() == set(), "it is not known yet that it cannot be reached"
    deliver(site, outbox)
    deliver(site, outbox)
    assert outbox.stuck() == {JOURNAL}
    log.error = None
    deliver(site, outbox, AWAY_MAX_S)
    deliver(site, outbox)
    assert outbox.stuck() == set()
    assert len(ids(site, AWAY)) == HELD_BACK_MAX + 1


def test_so_many_answers_wait_for_a_sender_that_is_away() -> None:
    site = Site(partitions=2)
    sender = (topics.REPLIES, 0)
    log = Refusing(site, sender, LogUnavailable("nobody leads it"))
    outbox = outbox_of(site, log)
    outbox.put(JOURNAL, [effect(sender, n) for n in range(HELD_BACK_MAX)])
    deliver(site, outbox)
    deliver(site, outbox)
    outbox.put(JOURNAL, [effect(sender, HELD_BACK_MAX)])
    outbox.reached(JOURNAL, HELD_BACK_MAX, -1)
    assert outbox.stuck() == set(), "nobody waits for answers"
    log.error = None
    deliver(site, outbox, AWAY_MAX_S)
    deliver(site, outbox)
    assert len(ids(site, sender)) == HELD_BACK_MAX
    assert outbox.progress(JOURNAL) == (HELD_BACK_MAX, [])

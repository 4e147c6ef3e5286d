"""The contract of a log, for every implementation: workers, groups, transactions, fences."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.log.contract import Fenced, Outgoing, RecordTooLarge, Topic
from tests.events.log.site import (
    LIMIT_S,
    Consumer,
    Site,
    after,
    outgoing,
    read,
    read_to_end,
    share,
    until,
)


def values(records: object) -> list[bytes]:
    return [record.value for record in records]  # type: ignore[attr-defined]


def test_a_transaction_writes_everywhere_and_moves_the_offsets(site: Site) -> None:
    commands, events, replies = site.topic("commands", 2), site.topic("events", 2), site.topic("re")
    site.log.append([Outgoing(commands, f"k{n}", str(n).encode()) for n in range(10)])
    first = Consumer(site.member("deciders", [commands]))
    taken = first.take(10)
    first.worker.transact(
        [Outgoing(events, r.key, b"event of " + r.value, {"of": r.key}) for r in taken]
        + [Outgoing(replies, r.key, b"reply to " + r.value) for r in taken],
        after(taken),
    )
    assert sorted(values(read(site.reader(events), 10)))[0] == b"event of 0"
    assert len(read(site.reader(replies), 10)) == 10
    first.worker.close()
    site.log.append(outgoing(commands, "next"))
    second = Consumer(site.member("deciders", [commands], site.open()))
    assert values(second.take(1)) == [b"next"]


def test_what_was_not_transacted_comes_again(site: Site) -> None:
    commands = site.topic("commands")
    site.log.append(outgoing(commands, "0", "1", "2"))
    first = Consumer(site.member("group", [commands]))
    taken = first.take(3)
    first.worker.transact([], after(taken[:1]))
    first.worker.close()
    second = Consumer(site.member("group", [commands]))
    assert values(second.take(2)) == [b"1", b"2"]


def test_groups_do_not_know_each_other(site: Site) -> None:
    commands = site.topic("commands", 2)
    site.log.append(outgoing(commands, "0", "1"))
    for group in ("one", "another"):
        consumer = Consumer(site.member(group, [commands]))
        taken = consumer.take(2)
        consumer.worker.transact([], after(taken))
    fixed = Consumer(site.fixed("third", [(commands, 0), (commands, 1)]))
    assert values(fixed.take(2)) == [b"0", b"1"]


def test_a_transaction_may_have_no_records(site: Site) -> None:
    commands, events = site.topic("commands"), site.topic("events")
    site.log.append(outgoing(commands, "0"))
    consumer = Consumer(site.member("group", [commands]))
    consumer.worker.transact([], after(consumer.take(1)))
    consumer.worker.transact(outgoing(events, "by itself"), {})
    assert values(read_to_end(site.reader(events))) == [b"by itself"]


def test_records_wait_until_their_partition_is_ready(site: Site) -> None:
    topic = site.topic("commands", 2)
    site.log.append([Outgoing(topic, "", bytes([n]), partition=n) for n in range(2)])
    worker = site.fixed("agent", [(topic, 0), (topic, 1)])
    assert sorted(worker.poll(LIMIT_S).assigned) == [(topic, 0), (topic, 1)]
    assert list(worker.poll(0.3).records) == []
    worker.ready((topic, 1))
    assert values(worker.poll(LIMIT_S).records) == [b"\x01"]
    assert list(worker.poll(0.3).records) == []
    worker.ready((topic, 0))
    assert values(worker.poll(LIMIT_S).records) == [b"\x00"]


def test_poll_of_a_worker_returns_no_more_than_asked(site: Site) -> None:
    topic = site.topic("commands", 2)
    site.log.append([Outgoing(topic, f"k{n}", b"") for n in range(30)])
    consumer = Consumer(site.member("group", [topic]))
    consumer.until_owns(2)
    count = 0
    while count < 30:
        records = consumer.worker.poll(LIMIT_S, 4).records
        assert 0 < len(records) <= 4
        count += len(records)


def test_a_later_fixed_worker_fences_the_earlier(site: Site) -> None:
    commands, events = site.topic("dispatch"), site.topic("events")
    site.log.append(outgoing(commands, "0", "1"))
    zombie = Consumer(site.fixed("host", [(commands, 0)]))
    taken = zombie.take(2)
    zombie.worker.transact(outgoing(events, "good"), after(taken[:1]))
    heir = Consumer(site.fixed("host", [(commands, 0)], site.open()))
    assert values(heir.take(1)) == [b"1"]
    with pytest.raises(Fenced):
        zombie.worker.transact(outgoing(events, "of a zombie"), after(taken))
    with pytest.raises(Fenced):
        zombie.worker.transact(outgoing(events, "of a zombie"), {})
    with pytest.raises(Fenced):
        zombie.worker.poll(0.1)
    heir.worker.transact(outgoing(events, "good too"), after(heir.records))
    assert values(read_to_end(site.reader(events))) == [b"good", b"good too"]


def test_a_source_that_is_not_owned_cannot_be_moved(site: Site) -> None:
    commands, events = site.topic("commands", 2), site.topic("events")
    worker = site.fixed("agent", [(commands, 0)])
    assert worker.poll(LIMIT_S).assigned
    with pytest.raises(Fenced):
        worker.transact(outgoing(events, "x"), {(commands, 1): 1})
    assert read_to_end(site.reader(events)) == []


def test_a_record_over_the_limit_leaves_the_worker_as_it_was(site: Site) -> None:
    commands, events = site.topic("commands"), site.topic("events")
    site.log.append(outgoing(commands, "0", "1"))
    consumer = Consumer(site.member("group", [commands]))
    taken = consumer.take(2)
    huge = Outgoing(events, "key", b"x" * (site.log.record_bytes_max + 1))
    with pytest.raises(RecordTooLarge, match=events):
        consumer.worker.transact([*outgoing(events, "beside"), huge], after(taken))
    consumer.worker.transact(outgoing(events, "smaller"), after(taken))
    assert values(read_to_end(site.reader(events))) == [b"smaller"]


def test_members_share_and_take_over(site: Site) -> None:
    topic = site.topic("commands", 6)
    first = Consumer(site.member("group", [topic]))
    first.until_owns(6)
    second = Consumer(site.member("group", [topic], site.open()))
    share([first, second], [3, 3])
    assert len(first.owned | second.owned) == 6
    site.log.append([Outgoing(topic, "", bytes([n]), partition=n) for n in range(6)])
    assert {r.source for r in first.take(3)} == first.owned
    assert {r.source for r in second.take(3)} == second.owned
    second.worker.transact([], after(second.records))
    second.worker.close()
    first.until_owns(6)
    site.log.append([Outgoing(topic, "", b"more", partition=n) for n in range(6)])
    again = first.take(6)
    assert {record.source for record in again} == first.owned
    assert {record.value for record in again} == {b"more"}


def test_a_member_that_lost_a_partition_cannot_move_it(site: Site) -> None:
    topic, events = site.topic("commands", 2), site.topic("events")
    site.log.append([Outgoing(topic, "", b"x", partition=n) for n in range(2)])
    first = Consumer(site.member("group", [topic]))
    taken = first.take(2)
    second = Consumer(site.member("group", [topic], site.open()))
    share([first, second], [1, 1])
    with pytest.raises(Fenced):
        first.worker.transact(outgoing(events, "too late"), after(taken))
    assert read_to_end(site.reader(events)) == []
    theirs = second.records or second.take(1)  # it may have come while they shared
    second.worker.transact(outgoing(events, "in time"), after(theirs))
    assert values(read_to_end(site.reader(events))) == [b"in time"]


def test_topics_of_a_group_are_shared_each(site: Site) -> None:
    big, small = site.topic("big", 4), site.topic("small", 1)
    first = Consumer(site.member("group", [big, small]))
    first.until_owns(5)
    second = Consumer(site.member("group", [big, small], site.open()))

    share([first, second], [2, 3])
    assert not first.owned & second.owned
    assert {topic for topic, _ in first.owned | second.owned} == {big, small}


def test_reports_go_with_the_commands_of_the_same_number(site: Site) -> None:
    stem = site.name("domain")
    both = [f"{stem}.commands", f"{stem}.reports"]
    site.log.create_topics([Topic(name, 4) for name in both])
    first = Consumer(site.member("group", both))
    first.until_owns(8)
    second = Consumer(site.member("group", both, site.open()))
    share([first, second], [4, 4])
    for consumer in (first, second):
        owned = {topic: {n for t, n in consumer.owned if t == topic} for topic in both}
        assert owned[both[0]] == owned[both[1]] and len(owned[both[0]]) == 2
    second.worker.close()
    first.until_owns(8)


def test_rewind_goes_back_to_what_was_committed(site: Site) -> None:
    commands, events = site.topic("commands", 2), site.topic("events")
    site.log.append([Outgoing(commands, "", bytes([n]), partition=n % 2) for n in range(4)])
    consumer = Consumer(site.member("group", [commands]))
    taken = consumer.take(4)
    consumer.worker.transact(outgoing(events, "once"), {(commands, 0): taken[-1].offset + 1})
    consumer.worker.transact([], after([r for r in taken if r.partition == 0]))
    consumer.worker.rewind()
    polled = consumer.worker.poll(LIMIT_S)
    assert sorted(polled.revoked) == sorted(polled.assigned) == [(commands, 0), (commands, 1)]
    assert not polled.records
    for source in polled.assigned:
        consumer.worker.ready(source)
    again = consumer.take(2)
    assert [record.source for record in again] == [(commands, 1)] * 2
    consumer.worker.transact(outgoing(events, "twice"), after(again))
    assert values(read_to_end(site.reader(events))) == [b"once", b"twice"]


def test_a_waiting_worker_returns_with_what_comes(real_site: Site) -> None:
    topic = real_site.topic("commands", 2)
    consumer = Consumer(real_site.member("group", [topic]))
    consumer.until_owns(2)
    with ThreadPoolExecutor(1) as thread:
        for n in range(10):
            waiting = thread.submit(consumer.worker.poll, LIMIT_S)
            real_site.log.append([Outgoing(topic, f"k{n}", str(n).encode())])
            assert values(waiting.result(LIMIT_S).records) == [str(n).encode()]


def test_wake_ends_a_waiting_worker(real_site: Site) -> None:
    topic = real_site.topic("commands")
    consumer = Consumer(real_site.member("group", [topic]))
    consumer.until_owns(1)
    began = threading.Event()

    def wait() -> object:
        began.set()
        return consumer.worker.poll(LIMIT_S * 10)

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(wait)
        assert began.wait(LIMIT_S)
        consumer.worker.wake()
        assert not waiting.result(LIMIT_S).records  # type: ignore[attr-defined]


def test_readers_see_whole_transactions_only(real_site: Site) -> None:
    """Two topics, always written together, are never seen to differ by a committed end."""
    commands, left, right = (real_site.topic(stem) for stem in ("commands", "left", "right"))
    real_site.log.append(outgoing(commands, *map(str, range(40))))

    def decide() -> None:
        consumer = Consumer(real_site.member("group", [commands]))
        for record in consumer.take(40):
            value = record.value.decode()
            consumer.worker.transact(
                outgoing(left, value) + outgoing(right, value), after([record])
            )

    lefts, rights = real_site.reader(left), real_site.reader(right)
    seen_left: list[bytes] = []
    seen_right: list[bytes] = []

    def saw_all() -> bool:
        seen_left.extend(values(read_to_end(lefts)))
        seen_right.extend(values(read_to_end(rights)))
        assert len(seen_right) >= len(seen_left)
        return len(seen_left) == 40

    with ThreadPoolExecutor(1) as thread:
        deciding = thread.submit(decide)
        until(saw_all, "40 records on the left")
        deciding.result(LIMIT_S)
    assert seen_left == seen_right == [str(n).encode() for n in range(40)]

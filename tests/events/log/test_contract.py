"""The contract of a log, for every implementation: records, order, offsets, reading."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.log.contract import (
    EARLIEST,
    LATEST,
    Outgoing,
    RecordTooLarge,
    Topic,
    TopicMismatch,
    partition_of,
)
from tests.events.log.site import LIMIT_S, Site, outgoing, read, read_to_end, sources


def test_records_of_a_key_are_read_in_the_order_they_were_appended(site: Site) -> None:
    topic = site.topic("events", 3)
    for turn in range(5):
        site.log.append(
            [Outgoing(topic, f"key-{n % 7}", f"{turn}-{n}".encode()) for n in range(20)]
        )
    records = read(site.reader(topic), 100)
    for key in {record.key for record in records}:
        own = [record for record in records if record.key == key]
        assert [record.offset for record in own] == sorted({record.offset for record in own})
        assert [record.timestamp for record in own] == sorted(record.timestamp for record in own)
        assert [record.value for record in own] == [
            f"{turn}-{n}".encode() for turn in range(5) for n in range(20) if f"key-{n % 7}" == key
        ]
        assert {record.partition for record in own} == {partition_of(key, 3)}


def test_append_tells_the_offsets_that_are_read(site: Site) -> None:
    topic = site.topic("events", 4)
    wanted = [Outgoing(topic, f"key-{n}", str(n).encode()) for n in range(30)]
    offsets = site.log.append(wanted)
    read_back = {record.value: record for record in read(site.reader(topic), 30)}
    assert offsets == [read_back[record.value].offset for record in wanted]


def test_a_record_may_name_its_partition(site: Site) -> None:
    topic = site.topic("replies", 5)
    chosen = (partition_of("key", 5) + 1) % 5
    site.log.append([Outgoing(topic, "key", b"x", partition=chosen)])
    assert read(site.reader(topic), 1)[0].source == (topic, chosen)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        ("", b"", {}),
        ("key", b"", {"name": ""}),
        ("schlüssel-鍵-🔑", bytes(range(256)), {"ключ": "значение", "emoji": "🗝"}),
        ('it\'s "quoted" \\x41 {a,b} %s', b"\\x00'", {"a": "'\\\"{},%s", "b": "NULL"}),
        ("key", b"v", {"lines": "one\ntwo\r\n", "tab\t": "nul \x00 \x1f"}),
        ("key", b"v", {"{": "}", "\n": "\n"}),
    ],
)
def test_bytes_and_text_come_back_as_they_were(
    site: Site, key: str, value: bytes, headers: dict[str, str]
) -> None:
    topic = site.topic("events")
    site.log.append([Outgoing(topic, key, value, headers)])
    record = read(site.reader(topic), 1)[0]
    assert (record.key, record.value, dict(record.headers)) == (key, value, headers)


def test_nothing_to_append_is_nothing(site: Site) -> None:
    topic = site.topic("events")
    assert list(site.log.append([])) == []
    assert read_to_end(site.reader(topic)) == []


def test_a_big_batch(site: Site) -> None:
    topic = site.topic("events", 6)
    value = b"x" * 500
    batch = [Outgoing(topic, f"k{n % 50}", value + str(n).encode()) for n in range(5000)]
    offsets = site.log.append(batch)
    reader = site.reader(topic)
    records = {(r.partition, r.offset): r.value for r in read(reader, 5000)}
    assert len(records) == 5000
    for record, offset in zip(batch, offsets, strict=True):
        assert records[partition_of(record.key, 6), offset] == record.value


def test_big_records(site: Site) -> None:
    topic = site.topic("events", 2)
    values = [bytes([n]) * 900_000 for n in range(8)]
    for n, value in enumerate(values):
        site.log.append([Outgoing(topic, f"k{n}", value)])
    assert sorted(record.value for record in read(site.reader(topic), 8)) == values


def test_poll_returns_no_more_than_asked(site: Site) -> None:
    topic = site.topic("events", 3)
    site.log.append([Outgoing(topic, f"k{n}", str(n).encode()) for n in range(50)])
    reader = site.reader(topic)
    got: list[bytes] = []
    while len(got) < 50:
        records = reader.poll(LIMIT_S, 7)
        assert 0 < len(records) <= 7
        got += [record.value for record in records]
    assert sorted(got, key=int) == [str(n).encode() for n in range(50)]


@pytest.mark.parametrize("beside", [[], ["small"]])
def test_a_record_over_the_limit_is_refused_with_all_beside_it(
    site: Site, beside: list[str]
) -> None:
    topic, other = site.topic("events"), site.topic("other")
    huge = Outgoing(topic, "key", b"x" * (site.log.record_bytes_max + 1))
    with pytest.raises(RecordTooLarge, match=topic):
        site.log.append([*outgoing(other, *beside), huge])
    site.log.append(outgoing(topic, "fits") + outgoing(other, "fits"))
    assert [r.value for r in read_to_end(site.reader(topic))] == [b"fits"]
    assert [r.value for r in read_to_end(site.reader(other))] == [b"fits"]


def test_topics_are_made_once(site: Site) -> None:
    first, second = site.name("first"), site.name("second")
    assert list(site.log.create_topics([Topic(first, 3)])) == [first]
    assert list(site.log.create_topics([Topic(first, 3), Topic(second, 2)])) == [second]
    assert (site.log.partitions(first), site.open().partitions(second)) == (3, 2)
    with pytest.raises(TopicMismatch, match=first):
        site.log.create_topics([Topic(first, 4)])


def test_topics_may_be_made_by_several_at_once(real_site: Site) -> None:
    topics = [Topic(real_site.name(f"t{n}"), 2) for n in range(3)]
    logs = [real_site.open() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda log: list(log.create_topics(topics)), logs))
    assert sorted({name for names in made for name in names}) == [topic.name for topic in topics]
    assert [logs[0].partitions(topic.name) for topic in topics] == [2, 2, 2]


def test_an_unknown_topic_is_said_so(site: Site) -> None:
    missing = site.name("missing")
    for action in (
        lambda: site.log.partitions(missing),
        lambda: site.log.append([Outgoing(missing, "key", b"")]),
        lambda: site.log.reader({(missing, 0): EARLIEST}),
        lambda: site.log.membership("group", [missing]),
    ):
        with pytest.raises(TopicMismatch, match=missing):
            action()


def test_all_see_the_same_identity(site: Site) -> None:
    assert site.log.identity()
    assert site.log.identity() == site.open().identity()


def test_latest_is_what_comes_after(site: Site) -> None:
    topic = site.topic("events", 2)
    site.log.append([Outgoing(topic, f"k{n}", b"old") for n in range(10)])
    reader = site.reader(topic, LATEST)
    assert list(reader.poll(0.2)) == []
    site.log.append(outgoing(topic, "new"))
    assert [record.value for record in read(reader, 1)] == [b"new"]


def test_seek_goes_on_where_it_says(site: Site) -> None:
    topic = site.topic("events")
    site.log.append(outgoing(topic, "0", "1", "2", "3"))
    reader = site.reader(topic)
    records = read(reader, 4)
    reader.seek((topic, 0), records[2].offset)
    assert [record.value for record in read(reader, 2)] == [b"2", b"3"]
    reader.seek((topic, 0), EARLIEST)
    assert [record.value for record in read(reader, 4)] == [b"0", b"1", b"2", b"3"]
    reader.seek((topic, 0), EARLIEST)
    reader.seek((topic, 0), LATEST)
    site.log.append(outgoing(topic, "4"))
    assert [record.value for record in read(reader, 1)] == [b"4"]


def test_positions_reach_the_ends(site: Site) -> None:
    topic = site.topic("events", 3)
    site.log.append([Outgoing(topic, "a", b""), Outgoing(topic, "a", b"")])
    reader = site.reader(topic)
    assert set(reader.ends()) == set(sources(site.log, topic))
    assert len(read_to_end(reader)) == 2
    last = (topic, partition_of("a", 3))
    offset = site.log.append([Outgoing(topic, "a", b"")])[0]
    assert reader.positions()[last] <= offset < reader.ends()[last]


def test_two_readers_read_the_same(site: Site) -> None:
    topic = site.topic("events", 2)
    site.log.append([Outgoing(topic, f"k{n}", b"") for n in range(9)])
    first, second = read(site.reader(topic), 9), read(site.reader(topic, log=site.open()), 9)
    order = [lambda r: (r.partition, r.offset)]
    assert sorted(first, key=order[0]) == sorted(second, key=order[0])


def test_offset_at_finds_the_first_record_of_a_time(site: Site) -> None:
    topic = site.topic("events")
    source = (topic, 0)
    assert site.log.offset_at(source, 0) is None
    reader = site.reader(topic)
    stamps: dict[int, int] = {}
    while len(stamps) < 4:  # records in so many different milliseconds
        site.log.append(outgoing(topic, "x"))
        record = read(reader, 1)[0]
        stamps.setdefault(record.timestamp // 1000, record.offset)
    for millisecond, offset in stamps.items():
        assert site.log.offset_at(source, millisecond * 1000) == offset
    assert site.log.offset_at(source, 0) == min(stamps.values())
    assert site.log.offset_at(source, (max(stamps) + 3_600_000) * 1000) is None


def test_a_waiting_poll_returns_with_what_comes(real_site: Site) -> None:
    topic = real_site.topic("events", 2)
    reader = real_site.reader(topic)
    other = real_site.open()
    with ThreadPoolExecutor(1) as thread:
        for n in range(20):
            waiting = thread.submit(reader.poll, LIMIT_S)
            other.append([Outgoing(topic, f"k{n}", str(n).encode())])
            assert [record.value for record in waiting.result(LIMIT_S)] == [str(n).encode()]


def test_a_poll_without_records_ends_empty(site: Site) -> None:
    reader = site.reader(site.topic("events"))
    assert list(reader.poll(0.05)) == []
    assert list(reader.poll(0.0)) == []


def test_wake_ends_a_waiting_poll(real_site: Site) -> None:
    reader = real_site.reader(real_site.topic("events"))
    began = threading.Event()

    def wait() -> list[object]:
        began.set()
        return list(reader.poll(LIMIT_S * 10))

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(wait)
        assert began.wait(LIMIT_S)
        reader.wake()
        assert waiting.result(LIMIT_S) == []


def test_appends_of_many_threads(real_site: Site) -> None:
    topic = real_site.topic("events", 2)

    def some(n: int) -> list[int]:
        return [
            real_site.log.append([Outgoing(topic, f"k{n}", f"{n}-{turn}".encode())])[0]
            for turn in range(10)
        ]

    with ThreadPoolExecutor(8) as threads:
        offsets = list(threads.map(some, range(8)))
    assert all(own == sorted(own) for own in offsets)
    records = read(real_site.reader(topic), 80)
    assert {record.value for record in records} == {
        f"{n}-{turn}".encode() for n in range(8) for turn in range(10)
    }


def test_closing_twice_is_fine(site: Site) -> None:
    topic = site.topic("events")
    log = site.open()
    log.ping()
    reader = log.reader({(topic, 0): EARLIEST})
    member = log.membership(site.name("group"), [topic])
    for one in (reader, member, log):
        one.close()
        one.close()

"""What a notification says is what was written, and the tail has no holes."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from events.log.postgres_tail import PAYLOAD_BYTES_MAX, RECORDS_MAX, Lengths, Tail, parse

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
records = st.lists(st.tuples(text, text, st.binary(max_size=20)), min_size=1, max_size=6)


def rows(first: int, count: int, part: int = 1) -> list[Any]:
    return [(part, first + n, 7, "key", "", b"value") for n in range(count)]


@given(records)
def test_records_come_back_as_they_were(written: list[tuple[str, str, bytes]]) -> None:
    lengths = Lengths()
    for key, headers, value in written:
        lengths.add(key, headers, value, len((key + headers).encode()))
    texts = "".join(key + headers for key, headers, _ in written)
    values = b2a_base64(b"".join(value for _, _, value in written)).decode()
    payload = f"3:{40 + len(written)}:1234:{lengths.line()}:{texts}{values}"
    assert parse(payload) == (
        3,
        40 + len(written),
        [(3, 40 + n, 1234, *record) for n, record in enumerate(written)],
    )


def test_a_notification_without_records() -> None:
    assert parse("3:41") == (3, 41, [])


def test_what_does_not_fit_does_not_come_along() -> None:
    for size in (10, 5_700, 5_800, 6_000, 100_000):
        lengths = Lengths()
        lengths.add("k", "", b"x" * size, 1)
        in_base64 = len(b2a_base64(b"x" * size)) * 77 // 76
        assert (lengths.line() is not None) == (size < 5_800)
        assert lengths.line() is None or in_base64 + 100 <= PAYLOAD_BYTES_MAX


def test_the_tail_gives_what_follows_a_position() -> None:
    tail = Tail()
    tail.add(1, rows(5, 3))
    assert tail.take(1, 4, 10) == []
    assert tail.take(1, 6, 10) == rows(6, 2)
    assert tail.take(1, 5, 1) == rows(5, 1)
    assert tail.take(1, 8, 10) == tail.take(2, 0, 10) == []


def test_what_comes_twice_or_overlaps_is_there_once() -> None:
    tail = Tail()
    tail.add(1, rows(5, 3))
    tail.add(1, rows(5, 2))
    tail.add(1, rows(7, 3))
    assert tail.take(1, 5, 10) == rows(5, 5)


def test_a_hole_empties_the_window() -> None:
    tail = Tail()
    tail.add(1, rows(5, 3))
    tail.add(1, rows(9, 1))
    assert tail.take(1, 5, 10) == []
    assert tail.take(1, 9, 10) == rows(9, 1)


def test_a_window_is_bounded_and_forgotten_when_nobody_reads() -> None:
    tail = Tail()
    tail.add(1, rows(0, RECORDS_MAX + 10))
    assert tail.take(1, 9, 10) == []
    assert len(tail.take(1, 10, 1000)) == RECORDS_MAX
    tail.keep(frozenset({2}))
    assert tail.take(1, 10, 10) == []

"""Terms: the same records count for every reader."""

from __future__ import annotations

import pytest

from events.journal import Marked, TermBegan
from events.log.contract import Record
from events.log.terms import Terms, is_control

SOURCE = ("compute.events", 3)


def record(offset: int, term: str | None = None, type: str = "compute.ServerLocked") -> Record:
    made = {"ce_type": f"chronova.{type}"} | ({} if term is None else {"ce_term": term})
    return Record(*SOURCE, offset, 0, "key", b"", made)


def begun(offset: int) -> Record:
    return record(offset, None, TermBegan.type_name)


def admitted(terms: Terms, *records: Record) -> list[int]:
    return [each.offset for each in records if terms.admits(each)]


def test_late_records_of_an_old_owner_are_void() -> None:
    terms = Terms()
    written = [begun(0), record(1, "0"), begun(2), record(3, "0"), record(4, "2"), record(5, "0")]
    assert admitted(terms, *written) == [0, 1, 2, 4]
    assert terms.term_of(SOURCE) == 2


def test_a_term_ends_only_with_the_next_one() -> None:
    assert admitted(Terms(), begun(7), record(8, "7"), record(90, "7")) == [7, 8, 90]


def test_a_late_mark_of_an_old_owner_is_void() -> None:
    marked = record(2, "0", Marked.type_name)
    assert admitted(Terms(), begun(0), begun(1), marked) == [0, 1]


def test_a_log_without_terms_reads_as_before() -> None:
    terms = Terms()
    assert admitted(terms, record(0), record(5)) == [0, 5]
    assert terms.term_of(SOURCE) is None


@pytest.mark.parametrize("term", [None, "", "-3", "three", "²", "9" * 5000, "4"])
def test_what_names_another_term_or_none_is_void_within_one(term: str | None) -> None:
    assert admitted(Terms(), begun(3), record(4, term)) == [3]


def test_each_partition_has_its_own_term() -> None:
    terms = Terms({("compute.events", 2): 40})
    assert admitted(terms, record(0)) == [0]
    assert terms.term_of(("compute.events", 2)) == 40


def test_a_reader_that_goes_on_brings_the_term_along() -> None:
    assert admitted(Terms({SOURCE: 2}), record(3, "0"), record(4, "2")) == [4]


def test_a_reader_that_begins_midway_believes_the_newest_term_that_is_named() -> None:
    terms = Terms()
    written = [record(9, "2"), record(10, "6"), record(11, "2"), record(12), record(13, "6")]
    assert admitted(terms, *written) == [9, 10, 13]
    assert terms.term_of(SOURCE) is None
    assert admitted(terms, begun(14), record(15, "6"), record(16, "14")) == [14, 16]


def test_control_records_are_no_events() -> None:
    found = [begun(0), record(1, "0", Marked.type_name), record(2, "0")]
    assert [is_control(each) for each in found] == [True, True, False]
    assert Terms().is_control(begun(0))

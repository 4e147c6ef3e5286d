"""The contract of a log, for every implementation: journals, their terms and their fences."""

from __future__ import annotations

import pytest

from events.log.contract import (
    Fenced,
    Journal,
    Log,
    Outgoing,
    RecordTooLarge,
    TopicMismatch,
    TopicPartition,
)
from events.log.terms import BEGINS_TERM
from tests.events.log.site import Site, outgoing, read, read_to_end


def begin(site: Site, source: TopicPartition, owner: str, log: Log | None = None) -> Journal:
    """A term of ``owner``, begun through one process's view of the log."""
    record = Outgoing(source[0], "term", owner.encode(), {"ce_type": "test.TermBegan"}, source[1])
    return (log or site.log).begin_term(source, record)


def facts(source: TopicPartition, *texts: str) -> list[Outgoing]:
    return [Outgoing(source[0], "key", text.encode(), {}, source[1]) for text in texts]


def test_a_term_is_the_offset_of_its_first_record(site: Site) -> None:
    journal = (site.topic("events", 3), 2)
    site.log.append([Outgoing(journal[0], "k", b"before", {}, 2)])
    writer = begin(site, journal, "first")
    assert writer.source == journal
    (first,) = site.log.commit([(writer, facts(journal, "a", "b"))])
    records = read(site.reader(journal[0]), 4)
    assert [record.value for record in records] == [b"before", b"first", b"a", b"b"]
    assert writer.term == records[1].offset
    assert first == records[2].offset


def test_an_older_term_is_fenced_and_none_of_its_batch_lies_between(site: Site) -> None:
    """What it writes counts for nobody: it is not there, or lies behind the newer beginning."""
    journal = (site.topic("events"), 0)
    old = begin(site, journal, "old")
    assert isinstance(site.log.commit([(old, facts(journal, "a"))])[0], int)
    new = begin(site, journal, "new", site.open())
    (outcome,) = site.log.commit([(old, facts(journal, "void", "void"))])
    assert isinstance(outcome, Fenced)
    (outcome,) = site.log.commit([(old, facts(journal, "void"))])
    assert isinstance(outcome, Fenced), "a fenced writer stays fenced"
    (first,) = site.log.commit([(new, facts(journal, "b"))])
    assert isinstance(first, int), first
    records = read_to_end(site.reader(journal[0]))
    assert [r.value for r in records if r.value != b"void"] == [b"old", b"a", b"new", b"b"]
    assert all(r.offset > new.term for r in records if r.value == b"void")


def test_each_journal_ends_by_itself(site: Site) -> None:
    """An owner that lost one partition commits nothing there, whatever else it owns."""
    topic = site.topic("events", 2)
    kept, lost = begin(site, (topic, 0), "me"), begin(site, (topic, 1), "me")
    begin(site, (topic, 1), "other", site.open())
    outcomes = site.log.commit(
        [(lost, facts((topic, 1), "void")), (kept, facts((topic, 0), "true"))]
    )
    assert isinstance(outcomes[0], Fenced)
    assert isinstance(outcomes[1], int)


def test_one_process_may_begin_again(site: Site) -> None:
    journal = (site.topic("events"), 0)
    terms = [begin(site, journal, f"term {n}") for n in range(3)]
    assert [writer.term for writer in terms] == sorted(writer.term for writer in terms)
    outcomes = [site.log.commit([(writer, facts(journal, "x"))])[0] for writer in terms]
    assert [isinstance(outcome, int) for outcome in outcomes] == [False, False, True]


def test_a_batch_is_written_whole_or_not_at_all(site: Site) -> None:
    journal = (site.topic("events"), 0)
    writer = begin(site, journal, "me")
    large = Outgoing(journal[0], "key", b"x" * (site.log.record_bytes_max + 1), {}, 0)
    (outcome,) = site.log.commit([(writer, [*facts(journal, "not this"), large])])
    assert isinstance(outcome, RecordTooLarge)
    (outcome,) = site.log.commit([(writer, facts(journal, "this"))])
    assert isinstance(outcome, int), "the journal goes on"
    assert [r.value for r in read_to_end(site.reader(journal[0]))] == [b"me", b"this"]


def test_many_commits_keep_their_order(site: Site) -> None:
    topic = site.topic("events", 2)
    writers = [begin(site, (topic, number), "me") for number in range(2)]
    for n in range(50):
        outcomes = site.log.commit(
            [(w, facts(w.source, *(f"{n}.{i}" for i in range(3)))) for w in writers]
        )
        assert all(isinstance(outcome, int) for outcome in outcomes)
    for writer in writers:
        mine = [r for r in read_to_end(site.reader(topic)) if r.source == writer.source]
        expected = [f"{n}.{i}".encode() for n in range(50) for i in range(3)]
        assert [r.value for r in mine] == [b"me", *expected]
        assert [r.offset for r in mine] == sorted(r.offset for r in mine)


def test_appends_of_others_do_not_fence(site: Site) -> None:
    """Only a term's beginning does; whatever else lies in the partition is the readers' affair."""
    journal = (site.topic("events"), 0)
    writer = begin(site, journal, "me")
    site.log.append(outgoing(journal[0], "stray"))
    (outcome,) = site.log.commit([(writer, facts(journal, "a"))])
    assert isinstance(outcome, int), outcome


def test_a_beginning_that_was_only_appended_fences_too(site: Site) -> None:
    """To readers all that its writer goes on to write is void, so it may not pass for committed."""
    journal = (site.topic("events"), 0)
    writer = begin(site, journal, "me")
    assert isinstance(site.log.commit([(writer, facts(journal, "a"))])[0], int)
    site.log.append([Outgoing(journal[0], "k", b"", {"ce_type": BEGINS_TERM}, 0)])
    assert isinstance(site.log.commit([(writer, facts(journal, "void"))])[0], Fenced)
    assert isinstance(site.log.commit([(writer, facts(journal, "void"))])[0], Fenced)
    again = begin(site, journal, "me")
    assert isinstance(site.log.commit([(again, facts(journal, "b"))])[0], int)


@pytest.mark.parametrize("number", [7, 99])
def test_a_term_of_a_partition_that_is_not_there_is_refused(site: Site, number: int) -> None:
    with pytest.raises(TopicMismatch):
        begin(site, (site.topic("events", 2), number), "me")


def test_the_log_says_where_partitions_end(site: Site) -> None:
    topic = site.topic("events", 2)
    assert site.log.ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}
    writer = begin(site, (topic, 1), "me")
    site.log.commit([(writer, facts((topic, 1), "a", "b"))])
    assert site.log.ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 3}
    with pytest.raises(TopicMismatch):
        site.log.ends([(site.name("missing"), 0)])

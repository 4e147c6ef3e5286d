"""Sharing out partitions: complete, balanced, and moving as little as can be."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from events.log.assignment import assign

TOPICS = {"big": 12, "middle": 4, "single": 1, "other-single": 1}
SOURCES = [(topic, number) for topic, count in TOPICS.items() for number in range(count)]

members = st.dictionaries(
    st.integers(1, 9), st.sets(st.sampled_from(sorted(TOPICS))).map(frozenset), max_size=6
)
alike = st.sets(st.integers(1, 9), min_size=1, max_size=6).map(
    lambda ids: dict.fromkeys(ids, frozenset(TOPICS))
)
owners = st.dictionaries(st.sampled_from(SOURCES), st.integers(1, 12))


@given(members, owners)
def test_each_partition_has_an_owner_that_wants_it(
    members: dict[int, frozenset[str]], owners: dict[tuple[str, int], int]
) -> None:
    result = assign(members, SOURCES, owners)
    assert set(result) == set(SOURCES)
    for (topic, _), owner in result.items():
        wanting = [member for member, topics in members.items() if topic in topics]
        assert owner in wanting if wanting else owner is None


@given(alike, owners)
def test_members_that_want_the_same_have_the_same(
    members: dict[int, frozenset[str]], owners: dict[tuple[str, int], int]
) -> None:
    result = assign(members, SOURCES, owners)
    for topic in TOPICS:
        counts = Counter(dict.fromkeys(members, 0))
        counts.update(owner for source, owner in result.items() if source[0] == topic and owner)
        assert max(counts.values()) - min(counts.values()) <= 1
    totals = Counter(dict.fromkeys(members, 0))
    totals.update(owner for owner in result.values() if owner)
    assert max(totals.values()) - min(totals.values()) <= 1


@given(members, owners)
def test_what_is_shared_out_stays_so(
    members: dict[int, frozenset[str]], owners: dict[tuple[str, int], int]
) -> None:
    once = assign(members, SOURCES, owners)
    held = {source: owner for source, owner in once.items() if owner is not None}
    assert assign(members, SOURCES, held) == once


def test_a_second_member_takes_half_and_the_rest_stays() -> None:
    big = [source for source in SOURCES if source[0] == "big"]
    before = assign({1: {"big"}}, big, {})
    after = assign({1: {"big"}, 2: {"big"}}, big, dict.fromkeys(before, 1))
    assert Counter(after.values()) == {1: 6, 2: 6}


def test_nobody_moves_when_another_leaves() -> None:
    big = [source for source in SOURCES if source[0] == "big"]
    three = assign({1: {"big"}, 2: {"big"}, 3: {"big"}}, big, {})
    held = {source: owner for source, owner in three.items() if owner is not None}
    two = assign({1: {"big"}, 3: {"big"}}, big, held)
    assert all(two[source] == owner for source, owner in held.items() if owner != 2)
    assert Counter(two.values()) == {1: 6, 3: 6}


PAIRED = {"x.commands": 6, "x.reports": 6, "y.commands": 1, "y.reports": 1, "z.commands": 3}
PAIRS = [(topic, number) for topic, count in PAIRED.items() for number in range(count)]


@given(
    st.sets(st.integers(0, 9), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(PAIRS), st.integers(0, 12)),
)
def test_reports_have_the_owner_of_their_commands(
    ids: set[int], owners: dict[tuple[str, int], int]
) -> None:
    result = assign(dict.fromkeys(ids, frozenset(PAIRED)), PAIRS, owners)
    assert set(result) == set(PAIRS)
    for (topic, number), owner in result.items():
        assert owner in ids
        if topic.endswith(".reports"):
            assert owner == result[topic.replace("reports", "commands"), number]


def test_nobody_else_takes_reports_whose_commands_owner_does_not_want_them() -> None:
    members = {0: frozenset({"x.commands"}), 1: frozenset({"x.reports"})}
    result = assign(members, [("x.commands", 0), ("x.reports", 0)], {})
    assert result == {("x.commands", 0): 0, ("x.reports", 0): None}

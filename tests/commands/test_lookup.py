"""Lookups give what a pass over all states would, whatever of it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.decision import register_index
from commands.lookup import Lookup


class Pet(msgspec.Struct, frozen=True):
    owner: str
    toys: tuple[str, ...] = ()


def keys(pet: Pet) -> tuple[str, ...]:
    return (pet.owner, *pet.toys)


pets = st.one_of(
    st.none(),
    st.builds(
        Pet,
        owner=st.sampled_from("abc"),
        toys=st.lists(st.sampled_from("cde"), max_size=3).map(tuple),
    ),
)
changes = st.lists(st.tuples(st.sampled_from("123456"), pets), max_size=20)


def committed(index: Lookup, states: dict[str, Any], id: str, after: Any) -> None:
    index.replace(id, states.pop(id, None), after)
    if after is not None:
        states[id] = after


def found(states: Mapping[str, Any], key: str) -> list[str]:
    return sorted(id for id, pet in states.items() if pet is not None and key in keys(pet))


@given(before=changes, later=changes, changed=changes)
def test_as_a_pass_over_all(before: list[Any], later: list[Any], changed: list[Any]) -> None:
    states = {id: pet for id, pet in before if pet is not None}
    index = Lookup(keys, states)
    for id, pet in later:
        committed(index, states, id, pet)
    on_top = dict(changed)
    for key in "abcde":
        assert index.ids(key, {}) == found(states, key)
        assert index.ids(key, on_top) == found(states | on_top, key)


def test_a_name_is_given_once() -> None:
    with pytest.raises(TypeError, match=r"two indexes are called flavor.by_name"):
        register_index("flavor.by_name", "flavor", lambda states: Lookup(keys, states))

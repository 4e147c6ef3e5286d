"""Every identity event folds into its aggregate, whatever came before, and says where it lies."""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec
import pytest

import events.identity
from events.aggregate import AGGREGATES, folds_of
from events.message import MESSAGES, Event
from events.state_codec import decode_state, encode_state

FACTS = sorted(
    (
        cls
        for cls in MESSAGES.values()
        if issubclass(cls, Event) and cls.__module__.startswith(f"{events.identity.__name__}.")
    ),
    key=lambda cls: cls.type_name,
)
FIRSTS = {
    "domain": "DomainCreated",
    "tenant": "ProjectCreated",
    "user": "UserCreated",
    "group": "GroupCreated",
    "role": "RoleCreated",
    "assignment": "RoleGranted",
    "application_credential": "ApplicationCredentialCreated",
    "token_revocation": "TokenRevoked",
}


def value_of(hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return value_of(args[0])
    if origin is typing.Literal:
        return args[0]
    if origin in (typing.Union, types.UnionType):
        return value_of(next(arg for arg in args if arg is not type(None)))
    if origin is list:
        return [value_of(args[0])]
    if origin is dict:
        return {"key": value_of(args[1])}
    return {str: "id", int: 7, bool: True}[hint]


def example(cls: type[Event]) -> Event:
    hints = typing.get_type_hints(cls, include_extras=True)
    return cls(**{field.name: value_of(hints[field.name]) for field in msgspec.structs.fields(cls)})


def first_of(name: str) -> Event:
    cls = MESSAGES[f"identity.{FIRSTS[name]}"]
    assert issubclass(cls, Event)
    return example(cls)


def test_each_kind_has_its_first_event() -> None:
    own = {name for name, kind in AGGREGATES.items() if kind.domain == "identity"}
    assert own == set(FIRSTS)


@pytest.mark.parametrize("cls", FACTS, ids=lambda cls: cls.__name__)
def test_an_event_folds(cls: type[Event]) -> None:
    event = example(cls)
    ((kind, id),) = folds_of(event)
    assert id == "id"
    assert event.subject == (kind.name, "id")
    begun = kind.evolve(None, first_of(kind.name))
    after = kind.evolve(begun, event)
    assert isinstance(after, kind.state)
    assert isinstance(after, msgspec.Struct)
    assert decode_state(encode_state(after), kind.state) == after
    # What a deleted thing's row was folded from may begin again: a role is granted once more.
    gone = msgspec.structs.replace(after, deleted=True)
    assert kind.gone(gone)
    assert not kind.gone(kind.evolve(gone, first_of(kind.name)))


@pytest.mark.parametrize("cls", FACTS, ids=lambda cls: cls.__name__)
def test_an_event_changes_something_and_always_the_same(cls: type[Event]) -> None:
    event = example(cls)
    ((kind, _),) = folds_of(event)
    begun = kind.evolve(None, first_of(kind.name))
    changed = {
        "enabled": False,
        "description": "other",
        "tags": [],
        "implies": (),
        "name": "other",
        "password_hash": "other",
    }
    fields = {field.name for field in msgspec.structs.fields(kind.state)}
    before = msgspec.structs.replace(begun, **{k: v for k, v in changed.items() if k in fields})
    if cls.__name__ in ("UserRemovedFromGroup", "RoleNoLongerImplied"):
        joined = {"UserRemovedFromGroup": "UserAddedToGroup"}.get(cls.__name__, "RoleImplied")
        other = MESSAGES[f"identity.{joined}"]
        assert issubclass(other, Event)
        before = kind.evolve(before, example(other))
    after = kind.evolve(before, event)
    if cls.__name__ != FIRSTS[kind.name]:
        assert after != before
    assert kind.evolve(before, event) == after

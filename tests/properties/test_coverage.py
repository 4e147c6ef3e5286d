"""Nothing is left out: every command, event, piece of work and kind of state is tried."""

from __future__ import annotations

from commands.decision import DECIDERS
from events.aggregate import AGGREGATES
from events.message import MESSAGES, Command, Event, Message, Work
from projections.table import PROJECTED
from tests.properties import test_hosts
from tests.properties.histories import COMMANDS, EVENTS
from tests.properties.values import messages


def of_kind(kind: type[Message]) -> set[str]:
    """Names of the messages of a kind, of the installed packages."""
    return {
        name
        for name, cls in MESSAGES.items()
        if issubclass(cls, kind) and cls.__module__.partition(".")[0] in ("events", "commands")
    }


def test_every_command_is_decided_by_somebody_and_tried() -> None:
    assert of_kind(Command) - {cls.type_name for cls in COMMANDS} == set()
    assert of_kind(Command) - set(DECIDERS) == set()


def test_every_event_is_tried() -> None:
    assert of_kind(Event) - {cls.type_name for cls in EVENTS} == set()


def test_every_piece_of_work_is_tried() -> None:
    assert of_kind(Work) - {cls.type_name for cls in test_hosts.WORK} == set()


def test_every_event_of_a_domain_reaches_a_state_that_is_tried() -> None:
    """A story folds into every kind of state that there is, and each row comes from one."""
    folded = {name for cls in EVENTS for name, _ in cls.folds}
    assert folded == set(AGGREGATES)
    assert set(PROJECTED) <= folded


def test_every_message_has_values() -> None:
    """A field of a new type has to be known to ``values`` before anything else."""
    for cls in MESSAGES.values():
        assert not messages(cls).is_empty, cls.type_name

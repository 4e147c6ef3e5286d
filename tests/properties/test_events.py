"""Whatever an event holds, it can be folded, its rows fit their tables, and its line is written."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from events.aggregate import folds_of
from events.log.contract import Record
from events.log.records import GENESIS, EventStamp, chain_hash, headers, stamp_headers
from events.message import Context, Event
from events.state_codec import decode_state, encode_state
from projections.actions import INSTANCE_ACTION_EVENTS, INSTANCE_ACTIONS, ActionLog
from projections.history import HISTORY, history_line
from projections.rendering import as_bytes
from projections.table import PROJECTED
from tests.parts.given import CODEC, NOW
from tests.properties.columns import hold
from tests.properties.histories import EVENTS, events_of, examples
from tests.properties.values import messages

States = dict[tuple[str, str], Any]
ENVELOPE = Context(id="compute.events/0/1", time=NOW, request_id="req-1")


def folded(states: States, event: Event) -> None:
    """Fold the event as projections do; each row that changes is rendered and held."""
    stamp = EventStamp(1, 1, GENESIS)
    value = CODEC.encode(event)
    assert CODEC.decode(value) == event
    subject = "/".join(event.subject if event.folds else ("command", "1"))
    made = stamp_headers(headers(ENVELOPE, event.type_name, subject), stamp)
    record = Record(f"{event.type_domain}.events", 0, 0, NOW, subject, value, made)
    line = history_line(record, event, stamp).split("\t")
    assert len(line) == len(HISTORY.columns)
    assert chain_hash(record.key, record.value, record.headers)
    for number, (aggregate, id) in enumerate(folds_of(event)):
        before = states.get((aggregate.name, id))
        if before is not None and aggregate.gone(before):
            before = None
        after = aggregate.evolve(before, event)
        if after is None:
            continue
        states[aggregate.name, id] = after
        assert decode_state(encode_state(after), aggregate.state) == after
        actions = ActionLog()
        if number == 0:
            actions.record(event, before, after, made, 0, stamp)
        rendered(aggregate.name, id, after)
        written(actions)


def rendered(name: str, id: str, state: Any) -> None:
    """The row that shows a state fits its table."""
    projected = PROJECTED.get(name)
    if projected is not None:
        row = dict(projected.row(state))
        row.update(id=id, state=encode_state(state), sequence=1)
        hold(projected.table, orjson.loads(as_bytes(row)))


def written(actions: ActionLog) -> None:
    """The rows of instance actions fit their tables."""
    for action in actions.actions.values():
        hold(INSTANCE_ACTIONS, {c.name: action.get(c.name) for c in INSTANCE_ACTIONS.columns})
    for step in actions.all_steps():
        row = {c.name: getattr(step, c.name, None) for c in INSTANCE_ACTION_EVENTS.columns}
        hold(INSTANCE_ACTION_EVENTS, row)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.type_name)
def test_an_event_is_folded_and_shown(kind: type[Event]) -> None:
    @examples(8)
    @given(some.lists(events_of(kind.type_domain), max_size=3), messages(kind))
    def folds(past: list[Event], event: Event) -> None:
        states: States = {}
        folded({}, event)
        for fact in past:
            folded(states, fact)
        folded(states, event)

    folds()

"""Whatever happened, a person who asks is shown it: trace, explain, tap."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console

from chronova.inspect import explain, trace
from chronova.inspect.story import CLIENT, Step
from events.fleet.allocation import AllocationClaimed
from events.fleet.shard import AllocationRefused
from events.message import Event
from tests.properties.histories import EVENTS, examples
from tests.properties.values import messages


def step(event: Event) -> Step:
    """Return the event as a step of a story."""
    kind, _, name = event.type_name.partition(".")
    return Step(
        time=event.at,
        domain=kind,
        position=f"{kind}.events/0/1",
        type=name,
        subject="/".join(event.subject if event.folds else ("command", "1")),
        sequence=1,
        request_id="req-1",
        causation_id="1",
        user_id="",
        project_id="",
        sender=CLIENT,
        decider="Compute",
        fields=msgspec.to_builtins(event),
    )


def console() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=True)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.type_name)
def test_a_story_is_drawn(kind: type[Event]) -> None:
    @examples(4)
    @given(some.lists(messages(kind), min_size=1, max_size=2))
    def draws(events: list[Event]) -> None:
        steps = [step(event) for event in events]
        trace.text(steps, console())
        assert trace.mermaid(steps)

    draws()


@pytest.mark.parametrize("kind", [AllocationClaimed, AllocationRefused])
def test_a_placement_is_explained(kind: type[Event]) -> None:
    @examples(40)
    @given(messages(kind))
    def explains(event: Event) -> None:
        explain.show([step(event)], console())

    explains()

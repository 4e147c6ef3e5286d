"""Whatever a command holds, it is accepted or refused: deciding it never fails."""

from __future__ import annotations

import pytest
from hypothesis import given

from events.aggregate import AGGREGATES
from events.message import Command, Context
from events.state_codec import decode_state, encode_state
from tests.parts.given import CODEC, Story
from tests.properties.histories import COMMANDS, examples, stories
from tests.properties.values import messages


def decided(story: Story, command: Command) -> None:
    """The command comes to a decision that can be written, and to states that can be kept."""
    done = story.decide(command, Context(id="last", time=story.at, reply_to="0"))
    assert done.outcome in ("accepted", "refused"), done.problem
    for name, states in story.partition.states.items():
        kind = AGGREGATES[name]
        for state in states.values():
            assert decode_state(encode_state(state), kind.state) == state
            if kind.deadline is not None and kind.deadline(state) is not None:
                assert kind.overdue is not None
                CODEC.encode(kind.overdue(state))


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.type_name)
def test_a_command_is_decided(kind: type[Command]) -> None:
    @examples(8)
    @given(stories(kind.type_domain), messages(kind))
    def decides(story: Story, command: Command) -> None:
        assert CODEC.decode(CODEC.encode(command)) == command
        decided(story, command)

    decides()

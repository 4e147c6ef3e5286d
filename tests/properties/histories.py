"""Partitions with a past that is drawn: any facts, and what any commands led to."""

from __future__ import annotations

import os

from hypothesis import Phase, settings
from hypothesis import strategies as some

from chronova.domains import load_handlers, load_projections
from commands.decision import DECIDERS
from events.message import MESSAGES, Command, Event
from tests.parts.given import Story
from tests.properties.values import messages

load_handlers()
load_projections()

LONGER = int(os.environ.get("CHRONOVA_EXAMPLES", "1"))
"""How many times more examples are tried: 1 in CI, 50 to look for more."""

COMMANDS = sorted((DECIDERS[name].command for name in DECIDERS), key=lambda cls: cls.type_name)
EVENTS = sorted(
    (cls for cls in MESSAGES.values() if issubclass(cls, Event)), key=lambda cls: cls.type_name
)


def examples(number: int) -> settings:
    """Return settings with so many examples, the same ones at each run unless more are wanted."""
    return settings(
        max_examples=number * LONGER,
        deadline=None,
        derandomize=LONGER == 1,
        database=None,
        phases=(Phase.generate, Phase.shrink) if LONGER > 1 else (Phase.generate,),
        report_multiple_bugs=False,
    )


def commands_of(domain: str) -> some.SearchStrategy[Command]:
    """Return any command of a domain."""
    return some.sampled_from([c for c in COMMANDS if c.type_domain == domain]).flatmap(messages)


def events_of(domain: str) -> some.SearchStrategy[Event]:
    """Return any event of a domain."""
    return some.sampled_from([e for e in EVENTS if e.type_domain == domain]).flatmap(messages)


@some.composite
def stories(draw: some.DrawFn, domain: str, facts_max: int = 4, commands_max: int = 4) -> Story:
    """Return a partition with a past of any facts, then of any commands."""
    story = Story(domain)
    for fact in draw(some.lists(events_of(domain), max_size=facts_max)):
        story.having(fact)
    for command in draw(some.lists(commands_of(domain), max_size=commands_max)):
        story.when(command)
    return story

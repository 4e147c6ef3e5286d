"""Given these facts, when this is asked, then these facts follow (or a refusal)."""

from __future__ import annotations

from typing import Any

import commands.image  # noqa: F401
from commands.decision import DECIDERS, Decision
from events.aggregate import folds_of
from events.image.attributes import ImageCreated
from events.image.image import Image
from events.message import Command, Event

ID = "6f1c1a6e-0000-4000-8000-00000000000a"
PROJECT = "p" * 32
NOW = 1_800_000_000_000_000


def created(**changed: Any) -> ImageCreated:
    """The fact of a queued raw image of project ``PROJECT``."""
    fields: dict[str, Any] = {
        "at": NOW,
        "image_id": ID,
        "project_id": PROJECT,
        "owner": PROJECT,
        "name": "debian",
        "visibility": "shared",
        "protected": False,
        "hidden": False,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk_gib": 0,
        "min_ram_mib": 0,
        "tags": [],
        "properties": {},
    }
    return ImageCreated(**(fields | changed))


class Partition:
    """The fold, gone images forgotten as a decider does."""

    def __init__(self, *facts: Event) -> None:
        self._states: dict[tuple[str, str], Any] = {}
        for fact in facts:
            for aggregate, id in folds_of(fact):
                state = aggregate.evolve(self.get(aggregate.name, id), fact)
                gone = state is None or aggregate.gone(state)
                self._states[aggregate.name, id] = None if gone else state

    def get(self, aggregate: str, id: str) -> Any:
        return self._states.get((aggregate, id))

    level = 1

    def all(self, aggregate: str) -> dict[str, Any]:
        return {id: state for (name, id), state in self._states.items() if name == aggregate}


def state_after(*facts: Event) -> Image | None:
    """The image after these facts."""
    image: Image | None = Partition(*facts).get("image", ID)
    return image


class Outcome:
    """What was decided."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision

    def then(self, *facts: Event) -> None:
        """Exactly these facts follow."""
        assert self.decision.refusal is None
        assert self.decision.events == facts

    def nothing(self) -> None:
        """Accepted, and nothing follows."""
        self.then()

    def refused(self, status: int, words: str) -> None:
        """Refused with this status; the sentence contains ``words``."""
        assert self.decision.events == ()
        assert self.decision.refusal is not None
        assert self.decision.refusal.status == status
        assert words in self.decision.refusal.detail


class given:
    """``given(facts…).when(command)``."""

    def __init__(self, *facts: Event) -> None:
        self.partition = Partition(*facts)

    def when(self, command: Command, at: int = NOW) -> Outcome:
        """Decide the command on the state."""
        decider = DECIDERS[type(command).type_name]
        state: Any = self.partition
        if decider.key is not None:
            state = self.partition.get("image", getattr(command, decider.key))
        return Outcome(decider.decide(state, command, at))

"""What a kind of fault is: asked where it can strike, or coming by itself now and then."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from events.log.memory import Fault, Operation
from handlers.compute.drivers.simulated_faults import Fault as StepFault
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

WRITES = ("append", "commit", "begin_term")
RARE = ("begin_term", "membership", "reader")
"""Operations that come seldom are struck ten times as often."""


class FaultKind:
    """One kind. ``rate`` is drawn for each run, between ``rates``."""

    name = ""
    drawn = True
    """Whether a seed may draw it; else it has to be asked for."""
    rates = (0.001, 0.01)
    every_s: float | None = None
    growth = 1.0
    """By how much the time between two visits grows."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world = world
        self.rng = rng
        low, high = self.rates
        self.rate: float = low * (high / low) ** rng.random()

    def hits(self, where: str = "") -> bool:
        """Whether it strikes here."""
        return self.rng.random() < self.rate * (10 if where in RARE else 1)

    def on_log(self, process: Process, operation: Operation) -> Fault | None:
        """Before an operation on the log."""
        return None

    def on_step(self, process: Process, step: str, when: str) -> StepFault | None:
        """At a step of a driver; may raise ``Crash``."""
        return None

    def visit(self) -> None:
        """Now and then, every ``every_s`` seconds or so."""

    def heal(self) -> None:
        """All is well from now on: undo what would stay."""

    def said(self, text: str) -> None:
        """It struck."""
        self.world.note("FAULT", f"{self.name}: {text}")
        self.world.struck[self.name] += 1

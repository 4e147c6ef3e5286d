"""A decision that takes too long is broken off; nothing else is touched by that."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from types import FrameType
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from commands.decision import DECIDERS, Decision
from events.fleet.allocation import AllocationClaimed
from events.message import Command, Context
from events.outcome import CommandFailed
from events.whole import whole
from handlers.decider.budget import TICKS, UNLIMITED, Alarm, Unlimited
from handlers.decider.draft import Draft
from handlers.decider.effects import Effects
from handlers.decider.inputs import Input
from handlers.decider.partition import Partition
from tests.commands.fleet.fleet import place, register
from tests.handlers.decider.site import CODEC, NOW, Site, flavors, settle
from tests.parts.given import BYTES_MAX

NAME = "compute.CreateFlavor"

Decide = Callable[[Any, Any, int], Decision]


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """One whose own timer never comes: tests send the signal themselves."""
    with closing(Alarm(100_000.0)) as made:
        yield made


@pytest.fixture
def decided_by() -> Iterator[Callable[[Decide], None]]:
    """Sets who decides ``CreateFlavor`` for the flavor ``slow``; others are decided as ever."""
    right = DECIDERS[NAME]

    def set_to(slow: Decide) -> None:
        def decide(state: Any, command: Any, at: int) -> Decision:
            return (slow if command.name == "slow" else right.decide)(state, command, at)

        DECIDERS[NAME] = msgspec.structs.replace(right, decide=decide)

    yield set_to
    DECIDERS[NAME] = right


def ticks(count: int) -> None:
    for _ in range(count):
        signal.raise_signal(signal.SIGALRM)


def endless(state: object, command: object, at: int) -> Decision:
    ticks(1000)
    raise AssertionError("it was not broken off")


def test_a_decision_over_its_budget_fails_and_the_others_are_made(
    alarm: Alarm, decided_by: Callable[[Decide], None]
) -> None:
    """It held its partition for as long as it took, and with it every other of the process."""
    decided_by(endless)
    site = Site()
    decider = site.decider(budget=alarm)
    ids = [site.ask_flavor(name) for name in ("one", "slow", "two")]
    with capture_logs() as logs:
        settle(decider)
    assert flavors(decider) == {"one", "two"}
    assert [site.answers()[id][0].status for id in ids] == [0, 500, 0]
    written = [CODEC.decode(record.value) for record in site.events()]
    (failed,) = [fact for fact in written if isinstance(fact, CommandFailed)]
    assert failed.reason == "OverBudget: The decision took longer than 100000 s."
    (line,) = (line for line in logs if line["event"] == "command_over_budget")
    assert (line["command"], line["request_id"]) == (NAME, "req-2")
    assert "endless" in line["traceback"], "it says where it was"


def test_each_decision_has_a_budget_of_its_own(
    alarm: Alarm, decided_by: Callable[[Decide], None]
) -> None:
    """A batch of many is no long decision."""
    right = DECIDERS[NAME].decide

    def nearly(state: Any, command: Any, at: int) -> Decision:
        ticks(TICKS)
        return right(state, command, at)

    decided_by(nearly)
    site = Site()
    decider = site.decider(budget=alarm)
    ids = [site.ask_flavor("slow"), site.ask_flavor("slow")]
    settle(decider)
    assert [site.answers()[id][0].status for id in ids] == [0, 409]


def test_code_that_takes_any_exception_for_its_own_is_broken_off(
    alarm: Alarm, decided_by: Callable[[Decide], None]
) -> None:
    def stubborn(state: object, command: object, at: int) -> Decision:
        for _ in range(3):
            try:
                ticks(2 * TICKS)
            except Exception:  # noqa: BLE001 - the fault
                pass
            except BaseException:  # noqa: BLE001 - goes on once more, as a finalizer would
                pass
        return endless(state, command, at)

    decided_by(stubborn)
    site = Site()
    decider = site.decider(budget=alarm)
    id = site.ask_flavor("slow")
    settle(decider)
    assert site.answers()[id][0].status == 500


def test_what_outlives_a_decision_is_not_broken_off(
    alarm: Alarm, decided_by: Callable[[Decide], None]
) -> None:
    right = DECIDERS[NAME].decide

    @whole
    def index() -> None:
        ticks(3 * TICKS)

    def decide(state: Any, command: Any, at: int) -> Decision:
        index()
        return right(state, command, at)

    decided_by(decide)
    site = Site()
    decider = site.decider(budget=alarm)
    id = site.ask_flavor("slow")
    settle(decider)
    assert site.answers()[id][0].status == 0


def test_outside_of_a_decision_nothing_is_broken_off(alarm: Alarm) -> None:
    ticks(3 * TICKS)


HANGS = """
import re
from commands.decision import DECIDERS
import msgspec
from handlers.decider.budget import Alarm
from tests.handlers.decider.site import Site, settle, flavors

right = DECIDERS["compute.CreateFlavor"]

def decide(state, command, at):
    if command.name == "slow":
        WAIT
    return right.decide(state, command, at)

DECIDERS["compute.CreateFlavor"] = msgspec.structs.replace(right, decide=decide)
site = Site()
decider = site.decider(budget=Alarm(0.2))
id = site.ask_flavor("slow")
site.ask_flavor("one")
settle(decider)
print(site.answers()[id][0].status, *flavors(decider))
"""


@pytest.mark.parametrize(
    "wait",
    [
        're.match("(a*)*(b*)*(a*)*(b*)*c", "a" * 200)',
        "while True: pass",
        "__import__('threading').Event().wait()",
        "one, other = __import__('socket').socketpair(); one.recv(1)",
    ],
    ids=["expression", "loop", "lock", "socket"],
)
def test_what_would_take_for_ever_is_broken_off(wait: str) -> None:
    """With the real timer: within a regular expression, which keeps all other threads out."""
    program = HANGS.replace("WAIT", wait)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert run.stdout.splitlines()[-1] == "500 one"


# ------------------------------------------------------- broken off at any line


class AfterLines(Unlimited):
    """A budget of a number of lines, of one decision; ``firsts`` are the numbers of those lines
    that ran for the first time."""

    def __init__(self, alarm: Alarm, lines: int) -> None:
        self.alarm = alarm
        self.lines = lines
        self.firsts: list[int] = []

    def begin(self) -> None:
        self.alarm._ticks = TICKS - self.lines

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Each line is a tick."""
        known: set[tuple[object, int]] = set()

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            if event == "line":
                place = (frame.f_code, frame.f_lineno)
                before = self.alarm._ticks
                self.alarm._tick(signal.SIGALRM, frame)
                if self.alarm._ticks > before and place not in known:
                    known.add(place)
                    self.firsts.append(self.alarm._ticks - TICKS + self.lines)
            return trace

        outer = sys.gettrace()
        gc.disable()  # the end of another test's objects is no line of this decision
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(outer)
            gc.enable()


class Shard:
    """The partition of the fleet, with three hosts."""

    def __init__(self) -> None:
        self.partition = Partition("fleet", 0, CODEC)
        self.effects = Effects("fleet.events", 0, lambda topic: 1)
        self.asked = 0
        for name in ("a", "b", "d"):
            self.batch(register(name))

    def batch(self, *commands: Command, budget: AfterLines | None = None) -> list[Any]:
        """Decide these in one batch and commit it. The ``budget`` is for the second of them."""
        limits = (BYTES_MAX, 8 * BYTES_MAX)
        draft = Draft(self.partition, self.effects, NOW, limits, budget or UNLIMITED)
        for number, command in enumerate(commands):
            self.asked += 1
            context = Context(id=f"c{self.asked}", time=NOW)
            item = Input(context, command.type_name, command, place=("fleet.commands", self.asked))
            with budget.watching() if budget and number == 1 else nullcontext():
                draft.decide(item)
        draft.refused_at = range(len(draft.refusals))
        draft.finish(-1, [])
        self.partition.take(draft, self.partition.offset)
        facts = [CODEC.decode(record.value) for record in draft.records]
        return [draft.decided, [fact for fact in facts if isinstance(fact, AllocationClaimed)]]


def after_breaking_off(budget: AfterLines, indexed: bool) -> tuple[str, list[AllocationClaimed]]:
    """Break off a placement; how it ended, and what was claimed after it, in its batch and in the
    next. ``indexed``: whether the table of hosts is there before."""
    shard = Shard()
    if indexed:
        shard.batch(place("before"))
    new = register("c", vcpus=8, ram_mib=20_000)
    asked = (new, place("broken", "off"), place("third"))
    decided, claims = shard.batch(*asked, budget=budget)
    _, later = shard.batch(register("e", ram_mib=30_000), place("later", "last"))
    _, last = shard.batch(place("fifth", "sixth"))
    others = [c for c in (*claims, *later, *last) if c.server_id not in ("broken", "off")]
    return decided[1].outcome, others


@pytest.mark.long
@pytest.mark.parametrize("indexed", [True, False])
def test_a_placement_broken_off_at_any_line_changes_no_other(alarm: Alarm, indexed: bool) -> None:
    """The table of hosts shows what a decision claims, and is made by the first that asks for it:
    it must not be left half done."""
    after_breaking_off(AfterLines(alarm, 1_000_000), indexed)  # what is cached, is cached now
    whole = AfterLines(alarm, 1_000_000)
    assert after_breaking_off(whole, indexed)[0] == "accepted"
    assert len(whole.firsts) > 200
    _, expected = after_breaking_off(AfterLines(alarm, 0), indexed)
    assert len(expected) == 5
    for lines in whole.firsts:
        outcome, claims = after_breaking_off(AfterLines(alarm, lines - 1), indexed)
        assert outcome == "over_budget"
        assert claims == expected, f"after {lines} lines"

"""One seed, run: what came of it, and its story when it failed."""

from __future__ import annotations

import gc
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from random import Random

import msgspec
import structlog

from events.log.contract import Record
from events.log.records import context_of
from tests.simulation import faults
from tests.simulation.kernel import START, Stuck
from tests.simulation.workloads import WORKLOADS
from tests.simulation.world import Violation, World

SHOWN_STEPS = 60


class Outcome(msgspec.Struct):
    """What a run came to; ``violation`` empty: all was as it must be."""

    seed: int
    workload: str
    faults: tuple[str, ...]
    seconds: float
    virtual_s: float
    steps: int
    events: int
    operations: Counter[str]
    struck: Counter[str]
    facts: Counter[str]
    digest: str = ""
    violation: str = ""
    kind: str = ""
    story: str = ""

    @property
    def command(self) -> str:
        """How to run it again."""
        chosen = shlex.quote(",".join(self.faults) or "none")
        return (
            f"python -m tests.simulation --seed {self.seed} --workload {self.workload}"
            f" --faults {chosen}"
        )


def choice_of(
    seed: int, workload: str | None, names: Sequence[str] | None
) -> tuple[str, tuple[str, ...]]:
    """Workload and faults of a seed, where they are not given."""
    rng = Random(f"choice of {seed}")
    drawn_workload = rng.choice(sorted(WORKLOADS))
    drawn_faults = faults.drawn(rng)
    return workload or drawn_workload, drawn_faults if names is None else tuple(names)


def pairs() -> list[tuple[str, tuple[str, ...]]]:
    """Return each workload with each pair of faults, mixed: the first ones are of all kinds."""
    found: list[tuple[str, tuple[str, ...]]] = [
        (workload, pair)
        for workload in sorted(WORKLOADS)
        for pair in combinations(sorted(faults.NAMES), 2)
    ]
    Random("pairs").shuffle(found)
    return found


def run_seed(
    seed: int,
    workload: str | None = None,
    names: Sequence[str] | None = None,
    digest: bool = False,
    paired: bool = False,
) -> Outcome:
    """Run it. Never raises for a violation: it is in the outcome.

    ``paired``: workload and two faults by the seed's number, so that all come equally often.
    """
    chosen, kinds = choice_of(seed, workload, names)
    if paired:
        every = pairs()
        chosen, kinds = every[seed % len(every)]
    structlog.configure(processors=[_dropped], cache_logger_on_first_use=False)
    began = time.process_time()
    with World(seed, WORKLOADS[chosen], kinds) as world:
        failure: Exception | None = None
        try:
            world.run()
        except (Violation, Stuck) as error:
            failure = error
        outcome = Outcome(
            seed=seed,
            workload=chosen,
            faults=kinds,
            seconds=0.0,
            virtual_s=(world.kernel.now - START) / 1e6,
            steps=world.kernel.steps,
            events=world.observer.events,
            operations=world.operations,
            struck=world.struck + Counter(void=world.observer.void),
            facts=world.observer.facts,
            digest=world.digest() if digest else "",
        )
        if failure is not None:
            outcome.violation = str(failure)
            outcome.kind = getattr(failure, "kind", "stuck")
            outcome.story = story(world, getattr(failure, "subject", ""))
    gc.unfreeze()  # deciders hide what stays with them from the collector: here nothing stays
    outcome.seconds = time.process_time() - began
    return outcome


def story(world: World, subject: str) -> str:
    """The last steps, and all that was written about one server."""
    lines = ["The last steps:"]
    lines += [_line(*one) for one in list(world.story)[-SHOWN_STEPS:]]
    if subject:
        lines.append(f"All about {subject}:")
        found = [
            record
            for partition in world.cluster.partitions.values()
            for record in partition.records
            if subject.encode() in record.value
        ]
        for record in sorted(found, key=lambda one: one.timestamp):
            lines.append(_line(record.timestamp, f"{record.topic}@{record.offset}", _told(record)))
        for machine in world.machines:
            if subject in machine.hypervisor.guests:
                lines.append(f"  guest on {machine.host}: {machine.hypervisor.guests[subject]}")
        lines.append(f"  state: {world.observer.states.get(('server', subject))}")
    return "\n".join(lines)


def _told(record: Record) -> str:
    context = context_of(record)
    type_name = record.headers["ce_type"].removeprefix("chronova.")
    return f"{type_name} by {context.causation_id or context.id}"


def _line(now: int, who: str, what: str) -> str:
    return f"  {(now - START) / 1e6:10.3f} {who:32} {what}"


def _dropped(logger: object, name: str, event: object) -> dict[str, object]:
    raise structlog.DropEvent

"""Every process killed, log and database away, under load: nothing is lost, stuck or miscounted."""

from __future__ import annotations

import random
import threading

from tests.chaos.check import check
from tests.chaos.faults import (
    KILLS,
    ON_KAFKA,
    OUTAGES,
    OUTAGES_ON_KAFKA,
    RESTARTS,
    STARTING,
    Fault,
)
from tests.chaos.load import Load
from tests.chaos.victim import Victim

SLOWEST_S = 30.0
"""From the first attempt of a request to its success, an outage of 10 s in between."""


def survive(victim: Victim, faults: dict[str, Fault], pause_s: float) -> None:
    """Inflict these in turn under load, then check everything."""
    chance = random.Random(20260917)
    pause = threading.Event()
    with Load(victim.site, rate=4.0, seed=1) as load:
        pause.wait(pause_s)
        for inflict in faults.values():
            before = load.acknowledged()
            inflict(victim, chance)
            pause.wait(pause_s)
            load.progress(before, SLOWEST_S)
    assert check(victim.site, load.ledger) == []
    assert load.ledger.slowest_s < SLOWEST_S, load.ledger.slow
    assert load.acknowledged() > 10


def test_each_process_is_killed(victim: Victim) -> None:
    survive(victim, KILLS | (ON_KAFKA if victim.on_kafka else {}), 1.0)


def test_log_and_database_are_away_for_a_while(victim: Victim) -> None:
    if victim.on_kafka:
        faults = OUTAGES_ON_KAFKA
    else:
        faults = {name: OUTAGES[name] for name in ("stop postgres", "freeze postgres")}
    survive(victim, faults, 2.0)


def test_rolling_restart_of_every_role(victim: Victim) -> None:
    chance = random.Random(1)
    pause = threading.Event()
    # A supervisor that took over a living API holds its socket from the next start on.
    RESTARTS["restart api"](victim, chance)
    with Load(victim.site, rate=4.0, seed=2) as load:
        pause.wait(1.0)
        for restart in RESTARTS.values():
            before = load.acknowledged()
            restart(victim, chance)
            load.progress(before, SLOWEST_S)
    assert check(victim.site, load.ledger) == []
    # Connections wait in the queue of the API's socket; none is refused or reset unanswered.
    assert load.ledger.counts["ConnectionRefusedError"] == 0
    assert load.ledger.counts["ConnectionResetError"] == 0


def test_each_role_is_told_to_end_while_it_starts(victim: Victim) -> None:
    # The last one: a role that ends so often is started again after ever longer pauses.
    survive(victim, STARTING, 1.0)

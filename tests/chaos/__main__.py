"""Chaos by hand and for long: faults at random times under load, and a check after each round.

    python -m tests.chaos --minutes 10 --log kafka --seed 7
    python -m tests.chaos --only 'kill decider' --only 'freeze postgres'
    python -m tests.chaos --soak --minutes 60 --rate 20

Exit code 1 and a sentence for each violation; the site is kept for a look then.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.bench.sites import Site, site
from tests.chaos.check import check
from tests.chaos.faults import LONG, faults
from tests.chaos.growth import LAG_S_MAX, Held, delays, grown, held, percentile_99
from tests.chaos.load import Load
from tests.chaos.rounds import clear, prepare
from tests.chaos.victim import Victim

ROUND_S = 30.0


def main() -> int:
    """Run rounds until the time is over or something is wrong."""
    options = _options()
    chance = random.Random(options.seed)
    with ExitStack() as stack:
        if options.data:
            running = Site(Path(options.data))
        else:
            running = stack.enter_context(site(options.log, port=options.port))
        prepare(running)
        end = time.monotonic() + options.minutes * 60
        number = 0
        measured: list[dict[str, Held]] = []
        while number == 0 or time.monotonic() < end:
            number += 1
            clear(running)
            before = delays(running)
            wrong = one_round(running, options, chance)
            if options.soak:
                wrong += held_in_bounds(Victim(running), measured)
                wrong += shown_in_time(before, delays(running))
            for sentence in wrong:
                say(f"WRONG: {sentence}")
            if wrong:
                return 1
        say(f"{number} rounds, nothing wrong")
    return 0


def held_in_bounds(victim: Victim, measured: list[dict[str, Held]]) -> list[str]:
    """Measure, say it, compare with the second measurement: the first round fills caches."""
    now = held(victim)
    measured.append(now)
    for name, one in now.items():
        say(f"  {name}: {one.rss_mib} MiB, {one.descriptors} descriptors, {one.threads} threads")
    return grown(measured[1], now) if len(measured) > 2 else []


def shown_in_time(before: Mapping[float, float], after: Mapping[float, float]) -> list[str]:
    """Say how far the projection lagged behind; a sentence if that was too far."""
    lag_s = percentile_99(before, after)
    say(f"  99 of 100 batches shown within {lag_s * 1e3:g} ms of their append")
    return [f"the projection lagged {lag_s * 1e3:g} ms behind"] if lag_s > LAG_S_MAX else []


def one_round(running: Site, options: argparse.Namespace, chance: random.Random) -> list[str]:
    """Load, some faults, rest, check."""
    victim = Victim(running)
    possible = faults(victim.on_kafka) | LONG
    names = options.only or sorted(faults(victim.on_kafka))
    pause = threading.Event()
    began = time.monotonic()
    load = Load(running, threads=options.threads, rate=options.rate, seed=chance.randrange(2**32))
    with load:
        while time.monotonic() - began < options.round:
            pause.wait(chance.uniform(1, options.every))
            if options.soak:
                continue
            name = chance.choice(names)
            at = time.monotonic()
            possible[name](victim, chance)
            say(f"  {name} ({time.monotonic() - at:.1f} s)")
        pause.wait(2)
    at = time.monotonic()
    wrong = check(running, load.ledger, hosts_were_down=not LONG.keys().isdisjoint(names))
    say(
        f"  {dict(load.ledger.counts)}; slowest {load.ledger.slowest_s:.1f} s;"
        f" checked in {time.monotonic() - at:.1f} s"
    )
    for line in load.ledger.slow:
        say(f"  slow: {line}")
    return wrong


def say(line: str) -> None:
    """With the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--data", help="a site that is up; else one is made")
    parser.add_argument("--port", type=int, default=18851)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--rate", type=float, default=4.0, help="requests a second")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--every", type=float, default=6.0, help="at most so long between faults")
    parser.add_argument("--round", type=float, default=ROUND_S)
    parser.add_argument("--only", action="append", help="this fault; may be repeated")
    parser.add_argument("--soak", action="store_true", help="no faults")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""How long a placement takes: ``python -m tests.bench.placement [HOSTS …]``.

One server at a time on hosts of 17 sizes with the default filters and weighers; the decision and
the fold of its events, without the log. Microseconds, mean.
"""

from __future__ import annotations

import sys
import time

from commands.fleet.place import place_servers
from tests.commands.fleet.fleet import Fleet, place, register

DECISIONS = 500


def measure(hosts: int) -> tuple[float, float]:
    """Microseconds to decide and to fold one placement."""
    fleet = Fleet().when(
        *(register(f"host-{n:05}", vcpus=64 + n % 17, ram_mib=262_144) for n in range(hosts))
    )
    deciding = folding = 0.0
    for number in range(DECISIONS):
        command = place(f"server-{number:029}", seed=number)
        begun = time.perf_counter()
        decision = place_servers(fleet, command, number)
        decided = time.perf_counter()
        fleet.given(*decision.events)
        deciding += decided - begun
        folding += time.perf_counter() - decided
    return deciding / DECISIONS * 1e6, folding / DECISIONS * 1e6


def main(sizes: list[int]) -> None:
    """Print a line for each number of hosts."""
    for hosts in sizes:
        deciding, folding = measure(hosts)
        sys.stdout.write(
            f"{hosts:6} hosts  {deciding:7.0f} us to decide  {folding:5.0f} us to fold"
            f"  {1e6 / (deciding + folding):7.0f} placements/s\n"
        )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10, 100, 1000, 4000])

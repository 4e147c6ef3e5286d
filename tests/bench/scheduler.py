"""How long a placement takes: ``python -m tests.bench.scheduler [HOSTS …]``.

One server at a time, the decision and the fold of its events and indexes, without the log; median,
in microseconds, with the default filters and weighers. The hosts are of 17 sizes in three zones
and hold servers of four flavors already, so that hardly two of them are alike.

- any: a plain request; zone: in a zone, from an image with an architecture;
- batch: the same as any, on top of 100 placements that are not committed yet;
- plain: the list-by-list scheduler that the tests compare with.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from commands.decision import Decision
from commands.fleet.aggregate import AddAggregateHost, CreateAggregate
from commands.fleet.place import ReleaseAllocation, place_servers
from tests.commands.fleet.fleet import Fleet, place, register
from tests.parts.plain_scheduler import place as plain

DECISIONS = 300
KEPT = 50
"""Servers of a series that are there at a time, so that a few hosts do not fill up."""
FLAVORS = ((1, 512, 1), (2, 2048, 10), (4, 8192, 20), (8, 12_288, 80))
ZONES = ("east", "north", "west")
Decide = Callable[[Fleet, Any, int], Decision]


def fleet_of(hosts: int) -> Fleet:
    """Hosts in zones, each with some servers."""
    fleet = Fleet().when(
        *(
            register(f"host-{n:05}", vcpus=64 + n % 17, ram_mib=262_144, disk_gib=4_000)
            for n in range(hosts)
        ),
        *(CreateAggregate(aggregate_id=z, name=z, availability_zone=z) for z in ZONES),
        *(
            AddAggregateHost(aggregate_id=ZONES[n % 3], host=f"host-{n:05}")
            for n in range(hosts)
            if n % 4
        ),
    )
    random = Random(7)
    states = fleet.states["host"]
    for name, host in states.items():
        vcpus, ram, disk = 0, 0, 0
        for _ in range(random.randrange(18)):
            flavor = random.choice(FLAVORS)
            vcpus, ram, disk = vcpus + flavor[0], ram + flavor[1], disk + flavor[2]
        states[name] = msgspec.structs.replace(
            host,
            used_vcpus=vcpus,
            largest_vcpus=min(host.largest_vcpus, 4 * 64 - vcpus),
            free_vcpus=host.free_vcpus - vcpus,
            used_ram_mib=ram,
            largest_ram_mib=host.largest_ram_mib - ram,
            free_ram_mib=host.free_ram_mib - ram,
            free_disk_mib=host.free_disk_mib - disk * 1024,
        )
    fleet.commit_all()
    return fleet


def median_us(fleet: Fleet, decide: Decide, decisions: int, **wanted: Any) -> float:
    """Microseconds for one placement and its fold."""
    taken = []
    placed: list[str] = []
    for number in range(decisions + 10):
        vcpus, ram_mib, disk_gib = FLAVORS[number % 4]
        command = place(
            f"server-{time.perf_counter_ns()}",
            seed=number,
            **{"vcpus": vcpus, "ram_mib": ram_mib, "disk_gib": disk_gib, **wanted},
        )
        begun = time.perf_counter()
        fleet.given(*decide(fleet, command, number).events)
        taken.append(time.perf_counter() - begun)
        placed.append(command.server_ids[0])
        if len(placed) > KEPT:
            fleet.when(ReleaseAllocation(server_id=placed.pop(0), generation=1))
    return statistics.median(taken[10:]) * 1e6


def main(sizes: list[int]) -> None:
    """Print a line for each number of hosts."""
    sys.stdout.write(f"{'hosts':>7}{'any':>8}{'zone':>8}{'batch':>8}{'plain':>8}   us, median\n")
    zoned = {
        "availability_zone": "north",
        "image_properties": {"hw_architecture": "x86_64", "img_hv_requested_version": ">=7.0"},
    }
    for hosts in sizes:
        fleet = fleet_of(hosts)
        any_host = median_us(fleet, place_servers, DECISIONS)
        in_zone = median_us(fleet, place_servers, DECISIONS, **zoned)
        slow = median_us(fleet, plain.place_servers, max(10, min(DECISIONS, 100_000 // hosts)))
        fleet.batch = 1_000_000
        median_us(fleet, place_servers, 90)
        batched = median_us(fleet, place_servers, 20)
        sys.stdout.write(f"{hosts:7}{any_host:8.0f}{in_zone:8.0f}{batched:8.0f}{slow:8.0f}\n")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10, 100, 1_000, 10_000])

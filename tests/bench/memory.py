"""What a server takes in a decider's memory: ``python -m tests.bench.memory [SERVERS]``.

Servers as a busy site has them (200 projects, 20 flavors, 30 images, a key pair for each user,
metadata and tags, no user data) go through their boot: the events are written, read and folded
by real partitions of compute and fleet. Bytes for each server, of all that stays: states,
sequences, deadlines. Then the same after a snapshot was saved and loaded.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random

import commands.compute
import commands.fleet
from events import topics
from events.compute.flavor import FlavorSnapshot
from events.compute.server import ImageSnapshot
from events.compute.server import facts as f
from events.compute.server.state import PublicKey
from events.fleet.allocation import AllocationClaimed
from events.fleet.evidence import Evidence
from events.fleet.host import HostRegistered
from events.fleet.request import Resources
from events.log.contract import Record
from events.log.records import Codec, EventStamp, chain_hash, headers, stamp_headers
from events.message import Context, Event
from handlers.decider.partition import Partition
from handlers.decider.snapshot import Snapshots
from tests.commands.fleet.fleet import host_inventories, hypervisor

assert commands.compute and commands.fleet

CODEC = Codec()
HOSTS = 500
NOW = 1_800_000_000_000_000


class Writer:
    """Folds events into a partition as read from a log."""

    def __init__(self, domain: str) -> None:
        self.partition = Partition(domain, 0, CODEC)
        self._topic = topics.events(domain)
        self._sequences: dict[str, int] = {}

    def fold(self, event: Event) -> None:
        """Write it and read it."""
        p = self.partition
        id = event.subject[1]
        sequence = self._sequences[id] = self._sequences.get(id, 0) + 1
        context = Context(id=f"{self._topic}/0/{p.position + 1}", time=event.at, causation_id=id)
        made = headers(context, event.type_name, "/bench", "/".join(event.subject))
        stamp_headers(made, EventStamp(p.position + 1, sequence, p.hash))
        value = CODEC.encode(event)
        assert chain_hash(id, value, made)
        p.fold(Record(self._topic, 0, p.position, event.at, id, value, made))


def server(number: int, random: Random) -> Iterator[Event]:
    """The events of one boot."""
    id = str(uuid.UUID(int=random.getrandbits(128)))
    project, user = number % 200, number % 400
    host = f"compute-{random.randrange(HOSTS):04}.site.example"
    flavor, image = number % 20, number % 30
    at = NOW + number * 1000
    yield f.ServerCreated(
        at=at,
        server_id=id,
        project_id=f"{project:032x}",
        user_id=f"{user:032x}",
        server_name=f"web-{number:06}",
        hostname=f"web-{number:06}",
        reservation_id=f"r-{number:08x}",
        flavor=FlavorSnapshot(
            flavor_id=str(uuid.UUID(int=flavor)),
            name=f"m1.size-{flavor}",
            vcpus=1 + flavor,
            ram_mib=2048 * (1 + flavor),
            root_gib=20,
            extra_specs={"hw:mem_page_size": "large"},
        ),
        image=ImageSnapshot(
            image_id=str(uuid.UUID(int=image)),
            name=f"debian-{image}",
            checksum=f"{image:0128x}",
            size_bytes=700_000_000,
            disk_format="qcow2",
            properties={"hw_disk_bus": "virtio", "os_distro": "debian", "hw_machine_type": "q35"},
        ),
        metadata={"role": "web", "team": f"team-{project}"},
        tags=["production", f"team-{project}"],
        public_key=PublicKey(name="laptop", type="ssh", public_key=f"ssh-ed25519 {user:068x} me"),
        security_groups=["default"],
        seed=random.getrandbits(63),
        deadline=at + 60_000_000,
    )
    alternates = [f"compute-{random.randrange(HOSTS):04}.site.example" for _ in range(2)]
    yield f.HostSelected(
        at=at + 5_000,
        server_id=id,
        generation=1,
        host=host,
        node=host,
        availability_zone="north",
        alternates=alternates,
        deadline=at + 600_000_000,
    )
    yield f.ImageFetched(at=at + 6_000, server_id=id, generation=1)
    yield f.DisksCreated(at=at + 7_000, server_id=id, generation=1)
    yield f.DomainStarted(at=at + 8_000, server_id=id, generation=1, power_state=1)
    yield AllocationClaimed(
        at=at + 4_000,
        server_id=id,
        host=host,
        node=host,
        generation=1,
        project_id=f"{project:032x}",
        user_id=f"{user:032x}",
        resources=Resources(vcpus=1 + flavor, ram_mib=2048 * (1 + flavor), disk_gib=20),
        availability_zone="north",
        alternates=alternates,
        evidence=Evidence(
            hosts_total=HOSTS,
            filtered=[],
            weighers=[],
            best=[],
            tied=1,
            seed=1,
            draw=0,
            spec_fingerprint="",
        ),
    )


def fold_all(count: int, domain: str) -> Partition:
    """A partition with all servers."""
    random = Random(7)
    writer = Writer(domain)
    if domain == "fleet":
        for number in range(HOSTS):
            name = f"compute-{number:04}.site.example"
            writer.fold(
                HostRegistered(
                    at=NOW,
                    host=name,
                    number=number,
                    node_id=str(uuid.UUID(int=number)),
                    service_id=str(uuid.UUID(int=number)),
                    hypervisor=hypervisor(name),
                    inventories=host_inventories(10_000, 10**8, 10**6),
                )
            )
    for number in range(count):
        for event in server(number, random):
            if event.type_domain == domain:
                writer.fold(event)
    writer.partition.undelivered.clear()  # as it is once the effects of all are delivered
    for _ in writer.partition.deadlines.overdue(NOW + 10**12):
        pass
    return writer.partition


def allocated() -> int:
    """Bytes that Python's objects take now."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def main(count: int) -> None:
    """Print a line for each kind of partition."""
    tracemalloc.start()
    for domain in ("compute", "fleet"):
        before, begun = allocated(), time.perf_counter()
        partition = fold_all(count, domain)
        taken = time.perf_counter() - begun
        each = (allocated() - before) / count
        sys.stdout.write(f"{domain:8} {each:6.0f} bytes/server, folded in {taken:.1f} s\n")
        with tempfile.TemporaryDirectory() as folder:
            snapshots = Snapshots(Path(folder), "bench", threaded=False)
            snapshots.save(partition, [])
            before = allocated()
            loaded = snapshots.load(domain, 0, CODEC)
            each = (allocated() - before) / count
        sys.stdout.write(f"{'':8} {each:6.0f} bytes/server, loaded from a snapshot\n")
        assert loaded.states.keys() == partition.states.keys()
        del partition, loaded


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)

"""Bugs in snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from events.log.contract import Record
from handlers.decider.effects import Effect
from handlers.decider.partition import Partition
from handlers.decider.snapshot import Piece, Snapshots
from tests.simulation.planting import planted, swapped


@planted("chain", "state", "taken twice", workload="boots", faults=("restored", "restart"))
def snapshot_without_proof() -> Iterator[None]:
    """A snapshot is believed although the log holds other records than it was folded from: hash,
    marks and states are another history's, and one of them is needed first."""

    def prove(self: Partition, record: Record) -> None:
        self.proof = None

    with swapped(Partition, "_prove", prove):
        yield


@planted("state", workload="batches", faults=("crash", "files"))
def damaged_snapshot_believed() -> Iterator[None]:
    """A snapshot's checksum is not looked at."""
    import handlers.decider.snapshot as module

    def frames(file: BinaryIO, size: int) -> Iterator[bytes]:
        while file.tell() < size - module.CHECKSUM_BYTES:
            yield file.read(int.from_bytes(file.read(4), "big"))

    with swapped(module, "_frames", frames):
        yield


@planted(
    "undelivered",
    "unattended",
    workload="boots",
    faults=("crash", "restart", "topics", "unavailable"),
)
def snapshot_without_undelivered_effects() -> Iterator[None]:
    """What was on its way when a snapshot was taken is not in it; a host may be called silent for
    the want of it before all has come to rest."""
    right = Snapshots.save

    def save(self: Snapshots, partition: Partition, undelivered: list[Effect]) -> None:
        right(self, partition, [])

    with swapped(Snapshots, "save", save):
        yield


@planted("decided twice", "answered twice", workload="boots", faults=("duplicate", "restart"))
def snapshot_without_remembered_ids() -> Iterator[None]:
    """Who begins with a snapshot does not know which commands were decided."""
    import handlers.decider.snapshot as module

    right = module._add

    def add(piece: Piece, partition: Partition) -> None:
        piece.remembered.clear()
        right(piece, partition)

    with swapped(module, "_add", add):
        yield

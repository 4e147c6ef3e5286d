"""Bugs in what holds between processes that do not trust, or do not understand, each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import events.host_proof
from events.host_proof import Checks
from events.log.contract import Record
from events.log.records import Codec
from events.message import Message
from handlers.features import Members
from tests.simulation.planting import planted, swapped


@planted("too early", workload="reboots", faults=("builds",), within=10)
def level_rises_while_an_old_process_lives() -> Iterator[None]:
    """Nobody asks who is there before a feature level is enabled."""

    def holding_back(self: Members, level: int, hosts: Iterable[str]) -> list[str]:
        return []

    def agreed(self: Members, known: int, hosts: Iterable[str]) -> int:
        return known

    with swapped(Members, "holding_back", holding_back), swapped(Members, "agreed", agreed):
        yield


@planted("too early", workload="reboots", faults=("builds",), within=10)
def written_without_its_level() -> Iterator[None]:
    """A type of records is written whether or not its level is enabled."""

    def encode(self: Codec, message: Message) -> bytes:
        return self.written(message)

    with swapped(Codec, "encode", encode):
        yield


@planted("too late", workload="reboots", faults=("builds",), within=10)
def level_never_rises() -> Iterator[None]:
    """All are of today's version, and nothing of it is enabled."""

    def agreed(self: Members, known: int, hosts: Iterable[str]) -> int:
        return 1

    with swapped(Members, "agreed", agreed):
        yield


@planted("forged", workload="boots", faults=("forged",), within=10)
def proofs_not_checked() -> Iterator[None]:
    """A host is believed whatever it says."""

    def check(self: Checks, record: Record, message: Message, registered: str = "") -> None:
        pass

    with swapped(Checks, "check", check):
        yield


@planted("forged", workload="boots", faults=("forged",), within=10)
def proofs_of_heartbeats_only() -> Iterator[None]:
    """Reports are believed without a proof."""
    right = Checks.check

    def check(self: Checks, record: Record, message: Message, registered: str = "") -> None:
        if record.topic.endswith("heartbeats"):
            right(self, record, message, registered)

    with swapped(Checks, "check", check):
        yield


@planted("forged", workload="boots", faults=("forged",), within=10)
def proofs_of_reports_only() -> Iterator[None]:
    """Heartbeats are believed without a proof."""
    right = Checks.check

    def check(self: Checks, record: Record, message: Message, registered: str = "") -> None:
        if not record.topic.endswith("heartbeats"):
            right(self, record, message, registered)

    with swapped(Checks, "check", check):
        yield


class AnyName(str):
    """Equal to every name."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


@planted("forged", workload="boots", faults=("forged",), within=10)
def proof_of_whatever_host() -> Iterator[None]:
    """The name in a proof is not compared with the one in the record."""

    def writer_of(message: Message) -> str:
        return AnyName()

    with swapped(events.host_proof, "_writer_of", writer_of):
        yield

"""Events in a log, stamped as a decider stamps them, and a few servers' stories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from events import topics
from events.compute.flavor import FlavorSnapshot
from events.compute.server import facts as f
from events.journal import Marked, TermBegan
from events.log.contract import Log, Outgoing, Record
from events.log.records import (
    GENESIS,
    Codec,
    EventStamp,
    chain_hash,
    control_hash,
    headers,
    stamp_headers,
)
from events.message import Context, Event

START = 1_700_000_000_000_000
FLAVOR = FlavorSnapshot(flavor_id="1", name="m1.tiny", vcpus=1, ram_mib=512, root_gib=1)
LATER = 10**16


class Recorder:
    """Writes events; ``position``, ``sequence`` and hash go on from what it wrote before.

    As in a real log, an aggregate's events must all go to one partition, a project's too.
    """

    def __init__(self, log: Log, domain: str = "compute") -> None:
        self.log = log
        self.domain = domain
        self.positions: dict[tuple[str, int], int] = {}
        self._hashes: dict[tuple[str, int], str] = {}
        self._terms: dict[tuple[str, int], int] = {}
        self._sequences: dict[tuple[str, str], int] = {}
        self._codec = Codec()

    def outgoing(
        self,
        event: Event,
        partition: int = 0,
        request_id: str = "",
        user_id: str = "user",
        domain: str = "",
    ) -> Outgoing:
        """The record of an event."""
        source = (topics.events(domain or self.domain), partition)
        position = self.positions[source] = self.positions.get(source, 0) + 1
        key = event.subject if event.folds else ("command", "none")
        record_key = key[1].replace("\0", "")  # a log may refuse it
        sequence = self._sequences[key] = self._sequences.get(key, 0) + 1
        context = Context(
            id=f"{source[0]}/{partition}/{position}",
            time=event.at + 5,
            request_id=request_id,
            correlation_id="first",
            causation_id="before",
            user_id=user_id,
            project_id="project",
        )
        made = headers(context, event.type_name, "/test", "/".join(key).replace("\0", ""))
        stamp_headers(made, EventStamp(position, sequence, self._hashes.get(source, GENESIS)))
        if source in self._terms:
            made["ce_term"] = str(self._terms[source])
        value = self._codec.written(event)
        self._hashes[source] = chain_hash(record_key, value, made)
        return Outgoing(source[0], record_key, value, made, partition)

    def forget(self, server_id: str) -> None:
        """The server's next event is its first again, as when a forgotten id is used again."""
        self._sequences.pop(("server", server_id))

    def begin_term(self, partition: int = 0) -> Recorder:
        """Take the journal over; a recorder that goes on as the owner of before."""
        old = Recorder(self.log, self.domain)
        old.positions, old._hashes = dict(self.positions), dict(self._hashes)
        old._terms, old._sequences = dict(self._terms), dict(self._sequences)
        self.control(TermBegan(at=START, owner="host:1"), partition)
        return old

    def control(self, message: TermBegan | Marked, partition: int = 0) -> None:
        """Write a control record."""
        source = (topics.events(self.domain), partition)
        context = Context(id=f"control-{message.at}", time=message.at)
        made = headers(context, message.type_name, "/test")
        if isinstance(message, Marked):
            made["ce_term"] = str(self._terms[source])
        value = self._codec.encode(message)
        (offset,) = self.log.append([Outgoing(source[0], "journal", value, made, partition)])
        record = Record(*source, offset, 0, "journal", value, made)
        self._hashes[source] = control_hash(self._hashes.get(source, GENESIS), record)
        if isinstance(message, TermBegan):
            self._terms[source] = offset

    def append(self, events: Iterable[Event], partition: int = 0, request_id: str = "") -> None:
        """Write events of one request."""
        self.write(self.all(events, partition, request_id))

    def all(
        self,
        events: Iterable[Event],
        partition: int = 0,
        request_id: str = "",
        domain: str = "",
    ) -> list[Outgoing]:
        """The records of events of one request."""
        return [self.outgoing(event, partition, request_id, domain=domain) for event in events]

    def write(self, records: Sequence[Outgoing]) -> None:
        """Write records in chunks that any log takes."""
        for n in range(0, len(records), 1000):
            self.log.append(records[n : n + 1000])


def created(server_id: str, at: int = START, project_id: str = "project") -> f.ServerCreated:
    """A server without an image was accepted."""
    return f.ServerCreated(
        at=at,
        server_id=server_id,
        project_id=project_id,
        user_id="user",
        server_name=f"name of {server_id}",
        hostname=server_id,
        reservation_id="r-1",
        flavor=FLAVOR,
        metadata={"z": "1", "a": "2"},
        deadline=LATER,
    )


def deleted(server_id: str, at: int, project_id: str = "project") -> f.ServerDeleted:
    """A server is gone."""
    return f.ServerDeleted(
        at=at,
        server_id=server_id,
        project_id=project_id,
        vcpus=FLAVOR.vcpus,
        ram_mib=FLAVOR.ram_mib,
        generation=1,
    )


def boot(server_id: str, at: int = START, project_id: str = "project") -> list[Event]:
    """From its creation to its guest's start: five facts."""
    same: dict[str, Any] = {"server_id": server_id, "generation": 1}
    return [
        created(server_id, at, project_id),
        f.HostSelected(at=at + 10, host="host-1", node="node-1", deadline=LATER, **same),
        f.ImageFetched(at=at + 20, **same),
        f.DisksCreated(at=at + 30, **same),
        f.DomainStarted(at=at + 40, power_state=1, **same),
    ]


def power(server_id: str, at: int) -> list[Event]:
    """Stopped and started again: four facts."""
    return [
        f.StopRequested(at=at, server_id=server_id, operation=2, deadline=LATER),
        f.ServerStopped(at=at + 10, server_id=server_id, operation=2, power_state=4),
        f.StartRequested(at=at + 20, server_id=server_id, operation=3, deadline=LATER),
        f.ServerStarted(at=at + 30, server_id=server_id, operation=3, power_state=1),
    ]


def deletion(server_id: str, at: int, project_id: str = "project") -> list[Event]:
    """Deleted on request: two facts."""
    return [
        f.DeletionRequested(at=at, server_id=server_id, operation=4, deadline=LATER),
        deleted(server_id, at + 10, project_id),
    ]

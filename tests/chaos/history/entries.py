"""The lines of a history's file: JSON, one entry each. Moments are microseconds since 1970."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

NAMES = "history-"
"""Every server of the clients is called so."""
MARK = "mark"
"""The metadata item that clients set, each time to another value."""
SECOND = 1_000_000
OPERATOR = -1
"""The number of the client that looks after a site whose log was put back."""


class Seen(msgspec.Struct, frozen=True):
    """A server as the API shows it, and as a fold of the log holds it."""

    server_id: str
    vm_state: str
    task_state: str | None
    power_state: int
    updated: int
    """Seconds since 1970, as precise as the API is."""
    mark: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="request"):
    """One attempt of a client, and how it ended. ``status`` None: no answer came.

    ``server_id`` is what it was about (of a boot: the answer's). ``name`` and ``mark`` are of no
    other request, but for a boot that is tried again. A walk through a list is several requests;
    the last one's ``last`` says that nothing follows.
    """

    client: int
    project_id: str
    operation: str
    began: int
    ended: int
    status: int | None
    request_id: str = ""
    server_id: str = ""
    name: str = ""
    mark: str = ""
    hard: bool = False
    walk: str = ""
    last: bool = False
    seen: list[Seen] = []
    error: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="fault"):
    """What was done to the site. ``tables_go_back``: what was shown may be lost for a moment,
    because the tables' commits are not waited for, as the log's are. ``holds_tables``: the tables
    cannot follow the log meanwhile."""

    name: str
    began: int
    ended: int
    tables_go_back: bool = False
    holds_tables: bool = False


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="fact"):
    """An event of the log that is about a server. ``state``: the server after it, None: gone.

    Fields that an event does not have are empty.
    """

    journal: str
    """``compute.events/3``."""
    position: int
    at: int
    type: str
    server_id: str
    request_id: str = ""
    project_id: str = ""
    operation: int = 0
    generation: int = 0
    host: str = ""
    name: str = ""
    mark: str = ""
    hard: bool = False
    unasked: bool = False
    status: int = 0
    state: Seen | None = None


class Guest(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="guest"):
    """A guest that a simulated host has at the end; ``boots`` counts its starts."""

    host: str
    server_id: str
    boots: int


class Held(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="held"):
    """A guest that a host had at the moment ``at``, when the log was put back."""

    at: int
    guest: Guest


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="removed"):
    """A guest that the operator had removed, because the log does not know it."""

    host: str
    server_id: str


class PutBack(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="put back"):
    """The log was put back from ``began`` to ``ended``, to a copy that was begun at ``copied``.
    What was asked or answered between ``copied`` and ``ended`` may be gone."""

    copied: int
    began: int
    ended: int


class Wrong(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="wrong"):
    """A sentence about the site itself: at rest, by ``tests.chaos.check``, or during a fault."""

    sentence: str


Entry = Request | Fault | Fact | Guest | Held | Removed | PutBack | Wrong
_DECODER = msgspec.json.Decoder(Entry)


def now() -> int:
    """The moment."""
    return time.time_ns() // 1000


class Recorder:
    """Appends entries to a file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.write_bytes(b"")

    def add(self, *entries: Entry) -> None:
        """Write them, one line each."""
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
        with self._lock, self.path.open("ab") as file:
            file.write(lines)


def read(path: Path) -> list[Any]:
    """All entries of a file, in its order."""
    return [_DECODER.decode(line) for line in path.read_bytes().splitlines()]


class History:
    """The entries of one run, by kind and with the indexes that the checks need."""

    def __init__(self, entries: Iterable[Any]) -> None:
        found = list(entries)
        self.requests = _sorted(found, Request, "began")
        self.faults = _sorted(found, Fault, "began")
        self.facts = sorted(
            (entry for entry in found if isinstance(entry, Fact)),
            key=lambda fact: (fact.journal, fact.position),
        )
        self.guests = [entry for entry in found if isinstance(entry, Guest)]
        self.held = [entry for entry in found if isinstance(entry, Held)]
        self.removed = {(e.host, e.server_id) for e in found if isinstance(e, Removed)}
        self.put_back = [entry for entry in found if isinstance(entry, PutBack)]
        self.sentences = [entry.sentence for entry in found if isinstance(entry, Wrong)]
        self.by_request: dict[str, list[Fact]] = {}
        self.by_server: dict[str, list[Fact]] = {}
        for fact in self.facts:
            self.by_request.setdefault(fact.request_id, []).append(fact)
            self.by_server.setdefault(fact.server_id, []).append(fact)
        self.servers = {
            id: facts
            for id, facts in self.by_server.items()
            if any(fact.name.startswith(NAMES) for fact in facts)
        }
        """The facts about each server of the clients."""

    def of_type(self, server_id: str, *types: str) -> list[Fact]:
        """The facts of these types about a server."""
        return [fact for fact in self.by_server.get(server_id, ()) if fact.type in types]

    def may_be_gone(self, request: Request) -> bool:
        """Whether the log was put back to before this request, or while it was asked."""
        return any(p.copied <= request.ended and request.began <= p.ended for p in self.put_back)


def _sorted(entries: Sequence[Any], kind: type[Any], by: str) -> list[Any]:
    return sorted((e for e in entries if isinstance(e, kind)), key=lambda e: getattr(e, by))

"""Reads against the log: each shows a state that was, none shows an older one than is known.

The log orders a server's states. For each read the oldest state is taken that fits what it showed
and is not older than what had been answered or read before it began; there has to be one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

import msgspec

from tests.chaos.history.entries import SECOND, Fact, History, Request, Seen
from tests.chaos.history.violation import Violation
from tests.chaos.history.writes import OPERATION_OF, accepted, told

VISIBLE_US = 2 * SECOND
"""After so long the API stops waiting for a decision to show (``api.log_bus``)."""
CATCHES_UP_US = 15 * SECOND
"""After a crash of Postgres the tables have to show again what they had shown; what keeps the
projector from it meanwhile does not count."""
COMES_BACK_US = 3 * SECOND
"""For each time that it is kept from it, until it goes on."""


class Version(msgspec.Struct, frozen=True):
    """A server after one fact. ``seen`` None: before its creation, or gone."""

    at: int
    seen: Seen | None


class Read(msgspec.Struct, frozen=True):
    """What one request showed of one server. ``firm``: later reads may not show less."""

    request: Request
    began: int
    seen: Seen | None
    firm: bool = True


class Bound(msgspec.Struct, frozen=True):
    """From ``ended`` on, reads show this version or a later one."""

    ended: int
    version: int
    request: Request
    kind: str


def stale(history: History, visible_us: int = VISIBLE_US) -> Iterator[Violation]:
    """Reads that go back behind an answered write or behind an earlier read, or show what never
    was. A write whose answer took ``visible_us`` may not show yet."""
    reads, windows = _reads(history), _windows(history)
    for server_id, facts in history.servers.items():
        versions, positions = _versions(facts)
        bounds = _answered(history, facts, positions, visible_us)
        yield from _followed(windows, server_id, versions, bounds, reads.get(server_id, []))


def walks(history: History) -> Iterator[Violation]:
    """A walk through a list shows each server once."""
    for pages in _walks(history):
        listed: set[str] = set()
        for seen in (seen for page in pages for seen in page.seen):
            if seen.server_id in listed:
                yield Violation("listed twice", f"{seen.server_id}: {told(pages[-1])}")
            listed.add(seen.server_id)


def _versions(facts: list[Fact]) -> tuple[list[Version], dict[int, int]]:
    """All versions of a server, and which one each position of its journal made."""
    versions, made = [Version(0, None)], {}
    for fact in facts:
        if fact.type.startswith("compute."):
            made[fact.position] = len(versions)
            versions.append(Version(fact.at, fact.state))
    return versions, made


def _answered(
    history: History, facts: list[Fact], made: dict[int, int], visible_us: int
) -> list[Bound]:
    """A bound for each write that was answered with success, and in time to show."""
    requests = {request.request_id: request for request in history.requests if accepted(request)}
    found = []
    for fact in facts:
        request = requests.get(fact.request_id) if fact.type in OPERATION_OF else None
        if (
            request is not None
            and request.ended - request.began < visible_us
            and not history.may_be_gone(request)
        ):
            kind = "behind a write"
            found.append(Bound(request.ended, made[fact.position], request, kind))
    return found


def _reads(history: History) -> dict[str, list[Read]]:
    """What was seen of each server, and of which ones it was seen that they are not there."""
    found: dict[str, list[Read]] = {}
    for request in history.requests:
        if history.may_be_gone(request):  # it may have shown what is in no log any more
            continue
        for seen in request.seen:
            found.setdefault(seen.server_id, []).append(Read(request, request.began, seen))
        if request.status == 404 and request.server_id:
            firm = request.operation == "show"  # others may be the decider's word
            read = Read(request, request.began, None, firm)
            found.setdefault(request.server_id, []).append(read)
    projects = {id: facts[0].project_id for id, facts in history.servers.items()}
    for pages in _walks(history):
        if pages[-1].last and not any(map(history.may_be_gone, pages)):
            listed = {seen.server_id for page in pages for seen in page.seen}
            for id, project in projects.items():
                if project == pages[0].project_id and id not in listed:
                    read = Read(pages[-1], pages[0].began, None)
                    found.setdefault(id, []).append(read)
    return found


def _walks(history: History) -> list[list[Request]]:
    found: dict[str, list[Request]] = {}
    for request in history.requests:
        if request.walk and request.status == 200:
            found.setdefault(request.walk, []).append(request)
    return list(found.values())


def _followed(
    windows: list[tuple[int, int]],
    server_id: str,
    versions: list[Version],
    answered: list[Bound],
    reads: list[Read],
) -> Iterator[Violation]:
    number = count()
    coming = [(bound.ended, next(number), bound) for bound in answered]
    heapq.heapify(coming)
    highest: Bound | None = None
    for read in sorted(reads, key=lambda read: read.began):
        while coming and coming[0][0] < read.began:
            bound = heapq.heappop(coming)[2]
            if highest is None or bound.version > highest.version:
                highest = bound
        holds = None if _excused(windows, read) else highest
        fitting = [n for n, version in enumerate(versions) if _fits(version, read)]
        least = 0 if holds is None else holds.version
        chosen = next((n for n in fitting if n >= least), None)
        if chosen is None:
            what = f"{server_id}: {told(read.request)} showed {read.seen}"
            if holds is None or not fitting:
                yield Violation("never was", what)
            else:
                yield Violation(holds.kind, f"{what} after {told(holds.request)}")
        elif read.firm and chosen:
            bound = Bound(read.request.ended, chosen, read.request, "went back")
            heapq.heappush(coming, (bound.ended, next(number), bound))


def _fits(version: Version, read: Read) -> bool:
    return version.seen == read.seen and version.at <= read.request.ended


def _excused(windows: list[tuple[int, int]], read: Read) -> bool:
    """Whether the tables may show less than they had, for they lost it and catch up."""
    return any(began <= read.request.ended and read.began <= ended for began, ended in windows)


def _windows(history: History) -> list[tuple[int, int]]:
    found = []
    for fault in history.faults:
        if fault.tables_go_back:
            ended = fault.ended + CATCHES_UP_US
            for other in history.faults:
                if fault.began < other.began <= ended and other.holds_tables:
                    ended += other.ended - other.began + COMES_BACK_US
            found.append((fault.began, ended))
    return found

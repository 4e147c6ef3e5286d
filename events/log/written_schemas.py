"""The schemas that records are written with lie in the log themselves, in the topic ``schemas``.

Each process that writes appends those of its version that are missing, before its first record. So
an older version can read what a newer one wrote: Avro's resolution needs the writer's schema,
and an older version does not carry it.

A record's value is JSON, not Avro: ``{"message": …, "version": …, "id": …, "schema": …}``. It is
what schemas are read with, so it has none. Two processes that begin at once may both
append a schema; the first of an id counts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import msgspec

from events import topics
from events.log.contract import EARLIEST, Log, LogError, LogUnavailable, Outgoing, Record
from schemas.catalog import Catalog, Version

SOURCE = (topics.SCHEMAS, 0)
READ_S = 15.0
"""Longest that reading the topic may take."""

AGAIN_S = 1.0
MISSED_MAX = 1000
"""Most ids that are remembered as missing."""

ALL = -1
TRIES, TRY_AGAIN_S = 3, 0.5

logger = logging.getLogger(__name__)


def publish(log: Log, own: Catalog) -> int:
    """Append the versions of ``own`` that the log lacks; how many. Learns those of others.

    Raises ``LogError``, and ``schemas.catalog.OtherSchema`` where the log's is another one.
    """
    there = written(log)
    own.learn(there)
    ids = {version.id for version in there}
    missing = [version for version in own.versions() if version.id not in ids]
    try:
        if missing:
            log.append([_outgoing(version) for version in missing])
    except LogError as error:
        raise type(error)(
            f"{len(missing)} schemas of this version are not in the log and could not be written"
            f" ({error}); `chronova topics create` of this version writes them"
        ) from error
    return len(missing)


def written(log: Log) -> list[Version]:
    """All that the log holds now, the first of each id. Raises ``LogError``."""
    found: dict[int, Version] = {}
    until = time.monotonic() + READ_S
    with closing(log.reader({SOURCE: EARLIEST})) as reader:
        end = reader.ends()[SOURCE]
        while reader.positions()[SOURCE] < end:
            for record in reader.poll(0.5):
                version = _version(record)
                if version is not None:
                    found.setdefault(version.id, version)
            if time.monotonic() > until:
                raise LogUnavailable(f"the topic {SOURCE[0]} was not read within {READ_S:.0f} s")
    return list(found.values())


class LookUpInLog:
    """Finds schemas in the log that ``opener`` opens; each time, since it is seldom. Thread-safe.

    A schema lies in the log before the first record that uses it. So what is missing when such a
    record was read stays missing; it is looked for again all the same, once in ``AGAIN_S``.
    """

    def __init__(
        self, opener: Callable[[], Log], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._opener = opener
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[int, Version] = {}
        self._missed: dict[int, float] = {}

    def find(self, id: int) -> Version | None:
        """See ``schemas.catalog.LookUp``."""
        with self._lock:
            missed = self._missed.get(id)
            if id not in self._known and (missed is None or self._clock() - missed >= AGAIN_S):
                self._read()
                if id not in self._known:
                    self._miss(id)
            return self._known.get(id)

    def all(self) -> Sequence[Version]:
        """See ``schemas.catalog.LookUp``."""
        with self._lock:
            missed = self._missed.get(ALL)
            if missed is None or self._clock() - missed >= AGAIN_S:
                self._read()
                self._miss(ALL)
            return list(self._known.values())

    def _miss(self, id: int) -> None:
        if len(self._missed) >= MISSED_MAX:
            self._missed.clear()
        self._missed[id] = self._clock()

    def _read(self) -> None:
        """Read the topic. An outage passes while it is tried again; then nothing was found."""
        for attempt in range(TRIES):
            try:
                with closing(self._opener()) as log:
                    self._known = {version.id: version for version in written(log)}
                return
            except LogError as error:
                logger.warning("the schemas in the log were not read: %s", error)
            if attempt + 1 < TRIES:
                threading.Event().wait(TRY_AGAIN_S)


def _outgoing(version: Version) -> Outgoing:
    value = msgspec.json.encode(version)
    made = {"ce_type": "chronova.schema", "content-type": "application/json"}
    return Outgoing(topics.SCHEMAS, version.subject, value, made, 0)


def _version(record: Record) -> Version | None:
    try:
        return msgspec.json.decode(record.value, type=Version)
    except msgspec.DecodeError as error:
        where = f"{record.topic}/{record.partition}@{record.offset}"
        logger.warning("%s is no schema and is passed over: %s", where, error)
        return None

"""Snapshots of partitions: disposable files that spare a new owner the fold of all events.

A snapshot is read only by the code that wrote it (``code_version``) and of the log it was
folded from; anything else, also a damaged file, is thrown away and the events are folded.
Written to a temporary name and renamed, so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import structlog

import events
import schemas
from events.aggregate import AGGREGATES
from events.log.records import Codec
from events.state_codec import BadState, decode_state, encode_state
from handlers.partition import Partition, Remembered

logger = structlog.get_logger("decider")


class Stored(msgspec.Struct):
    """A partition as it lies in the file."""

    code: str
    log: str
    position: int
    hash: str
    offset: int
    states: dict[str, dict[str, bytes]]
    sequences: list[tuple[str, str, int]]
    remembered: dict[str, Remembered]


@cache
def code_version() -> str:
    """A hash (hex) over the code that folds and the schemas: another one discards snapshots."""
    digest = hashlib.sha256()
    for package in (events, schemas):
        for folder in package.__path__:
            for file in sorted(Path(folder).rglob("*")):
                if file.suffix in (".py", ".avsc"):
                    digest.update(file.read_bytes())
    return digest.hexdigest()


class Snapshots:
    """The snapshots below ``folder`` of the log with this identity. ``folder`` None: none."""

    def __init__(self, folder: Path | None, log_id: str) -> None:
        self._folder = folder
        self._log = log_id

    @property
    def kept(self) -> bool:
        """Whether there is a folder to keep them in."""
        return self._folder is not None

    def _path(self, domain: str, number: int) -> Path | None:
        return self._folder / f"{domain}-{number}.snapshot" if self._folder else None

    def load(self, domain: str, number: int, codec: Codec) -> Partition:
        """The partition as last saved, or empty."""
        partition = Partition(domain, number, codec)
        path = self._path(domain, number)
        if path is None or not path.exists():
            return partition
        try:
            stored = msgspec.msgpack.decode(path.read_bytes(), type=Stored)
            if stored.code == code_version() and stored.log == self._log:
                _restore(partition, stored)
        except (msgspec.DecodeError, BadState, KeyError, OSError):
            path.unlink(missing_ok=True)
            return Partition(domain, number, codec)
        return partition

    def save(self, partition: Partition) -> None:
        """Keep the partition as it is; its events must be committed."""
        path = self._path(partition.domain, partition.number)
        if path is None:
            return
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.msgpack.encode(self._stored(partition)))
            fresh.replace(path)
        except OSError as error:  # a full disk: the next owner folds more, that is all
            logger.warning("snapshot_not_kept", path=str(path), reason=str(error))
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def _stored(self, partition: Partition) -> Stored:
        return Stored(
            code=code_version(),
            log=self._log,
            position=partition.position,
            hash=partition.hash,
            offset=partition.offset,
            states={
                name: {id: encode_state(state) for id, state in states.items()}
                for name, states in partition.states.items()
            },
            sequences=[(name, id, n) for (name, id), n in partition.sequences.items()],
            remembered=dict(partition.remembered),
        )


def _restore(partition: Partition, stored: Stored) -> None:
    states: dict[str, dict[str, Any]] = {
        name: {id: decode_state(raw, AGGREGATES[name].state) for id, raw in states.items()}
        for name, states in stored.states.items()
    }
    partition.states.update(states)
    partition.sequences = {(name, id): n for name, id, n in stored.sequences}
    partition.remembered.update(stored.remembered)
    partition.position, partition.hash = stored.position, stored.hash
    partition.offset = stored.offset
    partition.index_deadlines()

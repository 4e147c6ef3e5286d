"""Snapshots of partitions: disposable files that spare a new owner the fold of a whole journal.

A snapshot is believed only if its checksum fits, states still have the shape that it holds, and
the record before its offset is the one that it was folded up to: a log that was restored from an
older copy, or is another one, has another record there or none. Anything else is thrown
away and the journal is folded from its first record.

Written to a temporary name of its own, flushed to the disk and renamed: a crash leaves the old
one or the new one.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from events.aggregate import AGGREGATES
from events.log.records import Codec
from events.message import Context
from events.state_codec import decode_state, encode_state, state_shape
from handlers.decider.effects import Effect
from handlers.decider.marks import Marks
from handlers.decider.partition import Partition, Remembered

FOLD_VERSION = 1
"""To be raised by a change of ``evolve`` that gives other states of the same shape."""

CHECKSUM_BYTES = 32

logger = structlog.get_logger("decider")


class StoredEffect(msgspec.Struct):
    """An effect that was not delivered, as it is to be written."""

    offset: int
    topic: str
    partition: int
    key: str
    value: bytes
    context: Context


class Stored(msgspec.Struct):
    """A partition as it lies in the file."""

    fold_version: int
    shapes: dict[str, str]
    log: str
    proof: str
    """Hash of the record before ``offset``."""
    position: int
    hash: str
    offset: int
    term: int
    last_at: int
    marks: Marks
    states: dict[str, dict[str, bytes]]
    sequences: list[tuple[str, str, int]]
    remembered: dict[str, Remembered]
    in_flight: list[tuple[str, str, Context]]
    effects: list[StoredEffect]


def shapes(domain: str) -> dict[str, str]:
    """Return the shape of each kind of state in a domain."""
    return {a.name: state_shape(a.state) for a in AGGREGATES.values() if a.domain == domain}


class Snapshots:
    """The snapshots below ``folder`` of the log with this identity. ``folder`` None: none.

    ``threaded``: files are written by a thread of their own, so that the loop goes on.
    """

    def __init__(self, folder: Path | None, log_id: str, *, threaded: bool = True) -> None:
        self._folder = folder
        self._log = log_id
        self._threaded = threaded
        self._writing: threading.Thread | None = None

    @property
    def kept(self) -> bool:
        """Whether there is a folder to keep them in."""
        return self._folder is not None

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return self._writing is not None and self._writing.is_alive()

    def _path(self, domain: str, number: int) -> Path | None:
        return self._folder / f"{domain}-{number}.snapshot" if self._folder else None

    # ------------------------------------------------------------ loading

    def load(self, domain: str, number: int, codec: Codec) -> Partition:
        """Return the partition as last saved, or an empty one.

        The log has yet to prove it (``Partition.proof``).
        """
        path = self._path(domain, number)
        if path is None or not path.exists():
            return Partition(domain, number, codec)
        try:
            stored = msgspec.msgpack.decode(_checked(path.read_bytes()), type=Stored)
            return self._restored(stored, domain, number, codec)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is disposable
            logger.warning("snapshot_dropped", path=path.name, reason=str(error))
            self.discard(domain, number)
            return Partition(domain, number, codec)

    def discard(self, domain: str, number: int) -> None:
        """Remove the snapshot, if there is one."""
        path = self._path(domain, number)
        if path is not None:
            path.unlink(missing_ok=True)

    def _restored(self, stored: Stored, domain: str, number: int, codec: Codec) -> Partition:
        if stored.fold_version != FOLD_VERSION or stored.shapes != shapes(domain):
            raise ValueError("it was made by a version that folds otherwise")
        if stored.log != self._log:
            raise ValueError("it was folded from another log")
        partition = Partition(domain, number, codec)
        for name, states in stored.states.items():
            kind = AGGREGATES[name].state
            partition.states[name].update(
                {id: decode_state(raw, kind) for id, raw in states.items()}
            )
        partition.sequences = {(name, id): n for name, id, n in stored.sequences}
        partition.remembered.update(stored.remembered)
        partition.in_flight = {(name, id): context for name, id, context in stored.in_flight}
        partition.position, partition.hash = stored.position, stored.hash
        partition.offset, partition.term = stored.offset, stored.term
        partition.last_at, partition.marks = stored.last_at, stored.marks
        partition.last_hash = partition.proof = stored.proof
        partition.kept_effects = [_effect(one, partition.source, codec) for one in stored.effects]
        partition.index_deadlines()
        return partition

    # ------------------------------------------------------------- saving

    def save(self, partition: Partition, undelivered: list[Effect]) -> None:
        """Keep the partition as it is; what it holds is committed. ``undelivered``: its effects
        that are still on their way."""
        path = self._path(partition.domain, partition.number)
        if path is None or self.busy:
            return
        frozen = _frozen(partition)
        effects = [_stored(effect, partition.codec) for effect in undelivered]
        if not self._threaded:
            return self._write(path, frozen, effects)
        self._writing = threading.Thread(
            target=self._write, args=(path, frozen, effects), name="snapshot", daemon=True
        )
        self._writing.start()

    def close(self) -> None:
        """Wait until what is being written is."""
        if self._writing is not None:
            self._writing.join()

    def _write(self, path: Path, frozen: dict[str, Any], effects: list[StoredEffect]) -> None:
        fresh = path.with_suffix(f".{os.getpid()}.new")
        try:
            states = {
                name: {id: encode_state(state) for id, state in states.items()}
                for name, states in frozen.pop("states").items()
            }
            stored = Stored(
                fold_version=FOLD_VERSION,
                log=self._log,
                states=states,
                effects=effects,
                **frozen,
            )
            encoded = msgspec.msgpack.encode(stored)
            path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(hashlib.sha256(encoded).digest() + encoded)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:  # a full disk: the next owner folds more, that is all
            logger.warning("snapshot_not_kept", path=str(path), reason=str(error))
            with suppress(OSError):
                fresh.unlink(missing_ok=True)


def _frozen(partition: Partition) -> dict[str, Any]:
    """A copy of what changes; the states themselves never do."""
    return {
        "shapes": shapes(partition.domain),
        "proof": partition.last_hash,
        "position": partition.position,
        "hash": partition.hash,
        "offset": partition.offset,
        "term": partition.term,
        "last_at": partition.last_at,
        "marks": partition.marks,
        "states": {name: dict(states) for name, states in partition.states.items()},
        "sequences": [(name, id, n) for (name, id), n in partition.sequences.items()],
        "remembered": dict(partition.remembered),
        "in_flight": [(name, id, c) for (name, id), c in partition.in_flight.items()],
    }


def _checked(content: bytes) -> bytes:
    """Return what follows the checksum. Raises ``ValueError``."""
    checksum, encoded = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
    if hashlib.sha256(encoded).digest() != checksum:
        raise ValueError("its checksum does not fit")
    return encoded


def _stored(effect: Effect, codec: Codec) -> StoredEffect:
    topic, partition = effect.target
    return StoredEffect(
        effect.offset, topic, partition, effect.key, codec.encode(effect.message), effect.context
    )


def _effect(stored: StoredEffect, source: str, codec: Codec) -> Effect:
    message = codec.decode(stored.value)
    target = (stored.topic, stored.partition)
    return Effect(target, stored.key, message, stored.context, source, stored.offset)

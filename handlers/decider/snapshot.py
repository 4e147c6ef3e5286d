"""Snapshots of partitions: disposable files that spare a new owner the fold of a whole journal.

A snapshot is believed only if its checksum fits, states still have the shape that it holds, and
the record before its offset is the one that it was folded up to: a log that was restored from an
older copy, or is another one, has another record there or none. Anything else is thrown
away and the journal is folded from its first record.

Written to a temporary name of its own, flushed to the disk and renamed: a crash leaves the old
one or the new one.

A file is frames of msgpack, each after its length: a ``Head``, then ``Piece``s; last comes the
checksum of all. So the loop loads a large one in slices, and the thread that writes one lets the
loop go on after each piece.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import structlog

from events.aggregate import AGGREGATES
from events.log.records import Codec
from events.message import Context
from events.state_codec import decode_state, encode_state, state_shape
from handlers.decider.deadlines import Key, deadline_of
from handlers.decider.effects import Effect
from handlers.decider.marks import Marks
from handlers.decider.partition import Partition, Remembered

FOLD_VERSION = 1
"""To be raised by a change of ``evolve`` that gives other states of the same shape: those of the
golden log are compared (``tests/schemas/golden_fold.py``)."""

CHECKSUM_BYTES = 32

PIECE = 200
"""Entries in a piece: about a millisecond of encoding, or of decoding."""

_LENGTH = struct.Struct(">I")

T = TypeVar("T")

logger = structlog.get_logger("decider")


class StoredEffect(msgspec.Struct):
    """An effect that was not delivered, as it is to be written."""

    offset: int
    topic: str
    partition: int
    key: str
    value: bytes
    context: Context


class Head(msgspec.Struct):
    """What a file begins with: all of a partition but what there is a lot of."""

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


class Piece(msgspec.Struct, omit_defaults=True):
    """Some entries of a partition."""

    aggregate: str = ""
    """Of ``states``."""
    states: dict[str, bytes] = {}
    sequences: list[tuple[str, str, int]] = []
    remembered: dict[str, Remembered] = {}
    in_flight: list[tuple[str, str, Context]] = []
    effects: list[StoredEffect] = []


class Frozen(msgspec.Struct):
    """A partition at one moment: copies of what changes. The states themselves never do."""

    head: Head
    states: dict[str, dict[str, Any]]
    sequences: dict[Key, int]
    remembered: dict[str, Remembered]
    in_flight: dict[Key, Context]
    undelivered: list[Effect]

    def pieces(self, codec: Codec) -> Iterator[Piece]:
        """Yield all entries, in their order."""
        for name, states in self.states.items():
            for some in _sliced(states.items()):
                yield Piece(aggregate=name, states={id: encode_state(s) for id, s in some})
        for counts in _sliced(self.sequences.items()):
            yield Piece(sequences=[(name, id, n) for (name, id), n in counts])
        for known in _sliced(self.remembered.items()):
            yield Piece(remembered=dict(known))
        for envelopes in _sliced(self.in_flight.items()):
            yield Piece(in_flight=[(name, id, context) for (name, id), context in envelopes])
        for effects in _sliced(self.undelivered):
            yield Piece(effects=[_stored(effect, codec) for effect in effects])


_PIECES = msgspec.msgpack.Decoder(Piece)


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
        for partition in self.loading(domain, number, codec):
            if partition is not None:
                return partition
        raise AssertionError("loading ends with a partition")

    def loading(self, domain: str, number: int, codec: Codec) -> Iterator[Partition | None]:
        """Load in slices: yield None after each piece, and at the end what ``load`` returns."""
        path = self._path(domain, number)
        if path is not None and path.exists():
            try:
                yield from self._loading(path, Partition(domain, number, codec))
                return
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is disposable
                logger.warning("snapshot_dropped", path=path.name, reason=str(error))
                self.discard(domain, number)
        yield Partition(domain, number, codec)

    def discard(self, domain: str, number: int) -> None:
        """Remove the snapshot, if there is one."""
        path = self._path(domain, number)
        if path is not None:
            path.unlink(missing_ok=True)

    def _loading(self, path: Path, partition: Partition) -> Iterator[Partition | None]:
        with path.open("rb") as file:
            frames = _frames(file, path.stat().st_size)
            head = msgspec.msgpack.decode(next(frames, b""), type=Head)
            self._check(head, partition.domain)
            for frame in frames:
                _add(_PIECES.decode(frame), partition)
                yield None
        partition.position, partition.hash = head.position, head.hash
        partition.offset, partition.term = head.offset, head.term
        partition.last_at, partition.marks = head.last_at, head.marks
        partition.last_hash = partition.proof = head.proof
        yield partition

    def _check(self, head: Head, domain: str) -> None:
        if head.fold_version != FOLD_VERSION or head.shapes != shapes(domain):
            raise ValueError("it was made by a version that folds otherwise")
        if head.log != self._log:
            raise ValueError("it was folded from another log")

    # ------------------------------------------------------------- saving

    def save(self, partition: Partition, undelivered: list[Effect]) -> None:
        """Keep the partition as it is; what it holds is committed. ``undelivered``: its effects
        that by its marks are not delivered."""
        path = self._path(partition.domain, partition.number)
        if path is None or self.busy:
            return
        frozen = self._frozen(partition, undelivered)
        if not self._threaded:
            return self._write(path, frozen, partition.codec)
        self._writing = threading.Thread(
            target=self._write, args=(path, frozen, partition.codec), name="snapshot", daemon=True
        )
        self._writing.start()

    def close(self) -> None:
        """Wait until what is being written is."""
        if self._writing is not None:
            self._writing.join()

    def _frozen(self, partition: Partition, undelivered: list[Effect]) -> Frozen:
        head = Head(
            fold_version=FOLD_VERSION,
            shapes=shapes(partition.domain),
            log=self._log,
            proof=partition.last_hash,
            position=partition.position,
            hash=partition.hash,
            offset=partition.offset,
            term=partition.term,
            last_at=partition.last_at,
            marks=partition.marks,
        )
        return Frozen(
            head=head,
            states={name: dict(states) for name, states in partition.states.items()},
            sequences=dict(partition.sequences),
            remembered=dict(partition.remembered),
            in_flight=dict(partition.in_flight),
            undelivered=undelivered,
        )

    def _write(self, path: Path, frozen: Frozen, codec: Codec) -> None:
        fresh = path.with_suffix(f".{os.getpid()}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            checksum = hashlib.sha256()
            with fresh.open("wb") as file:
                for one in (frozen.head, *frozen.pieces(codec)):
                    encoded = msgspec.msgpack.encode(one)
                    framed = _LENGTH.pack(len(encoded)) + encoded
                    checksum.update(framed)
                    file.write(framed)
                file.write(checksum.digest())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except Exception as error:  # noqa: BLE001 - the next owner folds more, that is all
            logger.warning("snapshot_not_kept", path=str(path), reason=f"{error!r}")
            with suppress(OSError):
                fresh.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed in the middle have left of this snapshot."""
    for left in path.parent.glob(f"{path.stem}.*.new"):
        pid = left.suffixes[-2].removeprefix(".")
        if pid.isdecimal() and int(pid) != os.getpid() and not _lives(int(pid)):
            left.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _frames(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield what a file holds, frame by frame. Raises ``ValueError`` where the checksum at its end
    does not fit; what was yielded before that is not to be believed."""
    checksum, left = hashlib.sha256(), size - CHECKSUM_BYTES
    while left > 0:
        length = file.read(_LENGTH.size)
        frame = file.read(min(left, int.from_bytes(length, "big")))
        checksum.update(length)
        checksum.update(frame)
        left -= len(length) + len(frame)
        yield frame
    if left < 0 or file.read() != checksum.digest():
        raise ValueError("its checksum does not fit")


def _add(piece: Piece, partition: Partition) -> None:
    """Put the entries of a piece into a partition that is being loaded."""
    if piece.states:
        kind, states = AGGREGATES[piece.aggregate].state, partition.states[piece.aggregate]
        for id, raw in piece.states.items():
            state: Any = decode_state(raw, kind)
            states[id] = state
            key = (piece.aggregate, id)
            partition.deadlines.note(key, deadline_of(key, state))
    partition.sequences.update({(name, id): n for name, id, n in piece.sequences})
    partition.remembered.update(piece.remembered)
    partition.in_flight.update({(name, id): context for name, id, context in piece.in_flight})
    partition.kept_effects += [
        _effect(one, partition.source, partition.codec) for one in piece.effects
    ]


def _sliced(entries: Iterable[T]) -> Iterator[list[T]]:
    """Yield entries in lists of ``PIECE``."""
    rest = iter(entries)
    while some := list(islice(rest, PIECE)):
        yield some


def _stored(effect: Effect, codec: Codec) -> StoredEffect:
    topic, partition = effect.target
    return StoredEffect(
        effect.offset, topic, partition, effect.key, codec.encode(effect.message), effect.context
    )


def _effect(stored: StoredEffect, source: str, codec: Codec) -> Effect:
    message = codec.decode(stored.value)
    target = (stored.topic, stored.partition)
    return Effect(target, stored.key, message, stored.context, source, stored.offset)

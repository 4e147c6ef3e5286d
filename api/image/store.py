"""The image store: files named by the SHA-512 of what is in them, shared by equal images.

::

    temporary/<upload>                       data that is still arriving
    blobs/<aa>/<sha512>                      data, whole and durable
    references/<image>/<upload>.<sha512>     a hard link to it for each upload that counts

The link count of a blob is the number of its users: what has no reference is removed, and only
that. So nothing depends on a database that may lag behind, be rebuilt or be restored from a
backup. Links are made and blobs removed under one lock (of the directory, for all processes).

A crash leaves a temporary file, a blob without reference or a reference of an image that is
deleted, never a reference without its data; ``sweep`` removes all three.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import msgspec

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
LOCK_TIMEOUT_S = 10.0
LOCK_PROBE_S = 0.005
SWEEP_BATCH = 500


class StoreFull(Exception):
    """There is no room for the data."""


class StoreFailed(Exception):
    """The store cannot be read or written; the text says why, for an operator."""


class NotStored(Exception):
    """The store has no data of that checksum."""


class Stored(msgspec.Struct, frozen=True):
    """Data in the store: checksums in hex, size in bytes."""

    sha512: str
    md5: str
    size: int


@contextmanager
def _reported() -> Iterator[None]:
    """Failures of the file system as ``StoreFull`` or ``StoreFailed``."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(f"The image store is full: {error.strerror}") from error
        raise StoreFailed(f"The image store failed: {error}") from error


class Section:
    """Part of a blob, as a file to read once. Has ``fileno``, so a server can ``sendfile`` it."""

    def __init__(self, path: Path, start: int, length: int | None) -> None:
        self._file = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size
        """Bytes of the whole blob."""
        self.length = max(self.size - start, 0) if length is None else length
        """Bytes of this part."""
        self._left = self.length
        self._file.seek(start)

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, at most ``size``; none at the end of the part."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        chunk = self._file.read(wanted) if wanted else b""
        self._left -= len(chunk)
        return chunk

    def fileno(self) -> int:
        """The descriptor, positioned where the part goes on."""
        return self._file.fileno()

    def close(self) -> None:
        """May be called twice."""
        self._file.close()


class Upload:
    """Data that is arriving. One thread's. Left without ``finish``, it is as if it never was."""

    def __init__(self, store: ImageStore, id: str, size: int) -> None:
        store.check_room(size)
        self.id = id
        self.size = 0
        """Bytes written so far."""
        self._store = store
        self._path = store.temporary / id
        self._sha512 = hashlib.sha512()
        self._md5 = hashlib.md5(usedforsecurity=False)
        with _reported():
            self._file = self._path.open("xb", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Append. Raises ``StoreFull`` or ``StoreFailed``."""
        self._sha512.update(chunk)
        self._md5.update(chunk)
        rest = memoryview(chunk)
        self._store.check_room(len(chunk))
        with _reported():
            while rest:
                rest = rest[self._file.write(rest) :]
        self.size += len(chunk)

    def finish(self, image_id: str) -> Stored:
        """Make the data durable and the image one of its users. Raises as ``write``."""
        with _reported():
            os.fsync(self._file.fileno())
            stored = Stored(self._sha512.hexdigest(), self._md5.hexdigest(), self.size)
            self._store._adopt(self._path, stored.sha512, image_id, self.id)
        self.abort()
        return stored

    def abort(self) -> None:
        """Forget the data. Does nothing after ``finish``."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


class ImageStore:
    """The store in the directory ``root``, made if it is missing. Thread-safe; any number of
    processes may use one directory.

    ``room_kept_bytes`` of its disk stay free. Each write looks at what is free, so uploads at the
    same moment, of any process, go below it by one chunk each at most.
    """

    def __init__(self, root: Path, room_kept_bytes: int = 0) -> None:
        self.root = root
        self._room_kept_bytes = room_kept_bytes
        self.temporary = root / "temporary"
        self._blobs = root / "blobs"
        self._references = root / "references"
        with _reported():
            for folder in (self.temporary, self._blobs, self._references):
                folder.mkdir(parents=True, exist_ok=True)

    def begin(self, upload_id: str, size: int = 0) -> Upload:
        """Ready to take data. ``upload_id`` names this attempt, among all there ever were; ``size``
        is what is known to come, in bytes. Raises ``StoreFull`` and ``StoreFailed``."""
        return Upload(self, upload_id, size)

    def check_room(self, size: int) -> None:
        """Raise ``StoreFull`` when so many bytes more would take room that is kept free."""
        with _reported():
            free = shutil.disk_usage(self.root).free
        if size > free - self._room_kept_bytes:
            raise StoreFull(
                f"{size} bytes more have no room: {free} are free, "
                f"{self._room_kept_bytes} are kept."
            )

    def held(self, image_id: str) -> int:
        """Return the bytes of all data that the image uses, also of what is only staged. Raises
        ``StoreFailed``."""
        with _reported():
            try:
                return sum(
                    path.stat().st_size for path in self._references.joinpath(image_id).iterdir()
                )
            except FileNotFoundError:
                return 0  # it has none, or was deleted just now

    def path(self, sha512: str) -> Path:
        """Where the data of that checksum lies, or would lie."""
        return self._blobs / sha512[:2] / sha512

    def open(self, sha512: str, start: int = 0, length: int | None = None) -> Section:
        """The data, or the part of it from ``start``. Raises ``NotStored``, ``StoreFailed``."""
        try:
            with _reported():
                return Section(self.path(sha512), start, length)
        except StoreFailed as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NotStored(f"The store has no data with the SHA-512 {sha512}") from error
            raise

    def release(self, image_id: str, upload_id: str | None = None) -> None:
        """The image (or that upload for it) uses its data no longer: data without another user
        is removed. Unknown ids are fine. Raises ``StoreFailed``."""
        self._drop(image_id, lambda of: upload_id is None or of == upload_id)

    def release_others(self, image_id: str, upload_id: str) -> None:
        """``upload_id`` became the image's data: what earlier attempts left is not used."""
        self._drop(image_id, lambda of: of != upload_id)

    def sweep(
        self, deleted: Callable[[Collection[str]], Collection[str]], now_s: float, grace_s: float
    ) -> int:
        """Remove what crashes left behind; the number of files removed.

        ``deleted(ids)`` gives those images that are *known* to be deleted: ids it never heard of
        keep their data. Temporary files are removed when nothing came for ``grace_s``.
        """
        removed = 0
        with _reported():
            for path in self.temporary.iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < now_s - grace_s:
                        path.unlink()
                        removed += 1
            images = sorted(path.name for path in self._references.iterdir())
            for first in range(0, len(images), SWEEP_BATCH):
                for image_id in deleted(images[first : first + SWEEP_BATCH]):
                    self.release(image_id)
                    removed += 1
            for path in self._blobs.glob("*/*"):
                with self._lock():
                    removed += self._remove_unused(path)
        return removed

    def _adopt(self, data: Path, sha512: str, image_id: str, upload_id: str) -> None:
        blob = self.path(sha512)
        reference = self._references / image_id / f"{upload_id}.{sha512}"
        with self._lock():
            blob.parent.mkdir(exist_ok=True)
            reference.parent.mkdir(exist_ok=True)
            with suppress(FileExistsError):
                os.link(data, blob)
            os.link(blob, reference)
        for folder in (blob.parent, self._blobs, reference.parent, self._references):
            _sync(folder)

    def _drop(self, image_id: str, chosen: Callable[[str], bool]) -> None:
        folder = self._references / image_id
        with _reported(), self._lock():
            if not folder.is_dir():
                return
            kept = 0
            for reference in list(folder.iterdir()):
                upload_id, _, sha512 = reference.name.partition(".")
                if chosen(upload_id):
                    reference.unlink()
                    self._remove_unused(self.path(sha512))
                else:
                    kept += 1
            if not kept:
                folder.rmdir()

    def _remove_unused(self, blob: Path) -> bool:
        with suppress(FileNotFoundError):
            if blob.stat().st_nlink == 1:
                blob.unlink()
                return True
        return False

    @contextmanager
    def _lock(self) -> Iterator[None]:
        until = time.monotonic() + LOCK_TIMEOUT_S
        with (self.root / "lock").open("ab") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise StoreFailed(
                            f"The image store stayed locked for {LOCK_TIMEOUT_S} s"
                        ) from None
                    time.sleep(LOCK_PROBE_S)
            yield


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What format image data really has, found while it streams by.

oslo.utils' inspectors, which Nova and Glance use, hold only the few regions of the data that
they look at. A format with contents that reach outside the image (a qcow2 with a backing or a
data file, a VMDK of several extents) is unsafe: it would make a host read its own files.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import IO, cast

import msgspec
from oslo_utils.imageutils import format_inspector

UNSAFE_EXEMPT = frozenset({"raw", "gpt", "luks"})
"""Contents of a raw disk are the guest's matter: a damaged partition table is no danger."""

VIRTUAL_SIZE_MAX = 1 << 60
"""A header that claims a bigger disk is damaged; no real format reaches it."""

BROKEN = (
    ValueError,
    ArithmeticError,
    LookupError,
    struct.error,
    format_inspector.ImageFormatError,
)
"""What the inspectors raise on data that begins like a format and goes on like none."""


class Unsafe(Exception):
    """The data must not be used; the text says why."""


class Found(msgspec.Struct, frozen=True):
    """Formats that the data shows (``raw``: none in particular), and the size of its disk."""

    formats: Sequence[str]
    virtual_size: int | None


class Inspection:
    """Feed it all data with ``see``, then ask for ``result`` once."""

    def __init__(self) -> None:
        self._source = _Fed()
        self._wrapper = format_inspector.InspectWrapper(cast(IO[bytes], self._source))
        self._size = 0
        self._decided = False

    def see(self, chunk: bytes) -> None:
        """The next part of the data. Cheap once the formats are known."""
        self._size += len(chunk)
        if self._decided:
            return
        self._source.chunk = chunk
        self._wrapper.read(len(chunk))
        self._decided = self._wrapper.formats is not None

    def result(self) -> Found:
        """What was found. Raises ``Unsafe``."""
        try:
            self._wrapper.close()
        except BROKEN as error:
            raise Unsafe(f"The image is damaged: {error}") from error
        found = {str(inspector): inspector for inspector in self._wrapper.formats or ()}
        for name, inspector in found.items():
            if name not in UNSAFE_EXEMPT:
                _check(name, inspector)
        return Found(sorted(found), self._virtual_size(found))

    def _virtual_size(self, found: Mapping[str, format_inspector.FileInspector]) -> int | None:
        if found.keys() <= UNSAFE_EXEMPT:
            return self._size
        if len(found.keys() - UNSAFE_EXEMPT) > 1:
            return None
        (inspector,) = (i for name, i in found.items() if name not in UNSAFE_EXEMPT)
        try:
            size = int(inspector.virtual_size)
        except BROKEN:
            return None
        if size > VIRTUAL_SIZE_MAX:
            raise Unsafe(f"The {inspector} image is damaged: it claims a disk of {size} bytes")
        return size or None


class _Fed:
    """A source that gives the one chunk it was given: the inspectors want to read."""

    chunk = b""

    def read(self, size: int = -1) -> bytes:
        return self.chunk


def _check(name: str, inspector: format_inspector.FileInspector) -> None:
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        reasons = "; ".join(str(reason) for reason in error.failures.values())
        raise Unsafe(f"The {name} image is not safe to use: {reasons}") from error
    except BROKEN as error:
        raise Unsafe(f"The {name} image is damaged: {error}") from error

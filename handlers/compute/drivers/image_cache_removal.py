"""Removal of what no guest uses from `_base`: images, ephemeral and swap bases, notes, locks.

A base is in use while any qcow2 file in any guest's folder, also of a stopped or half removed
guest, names it as its backing file; then it is touched, so that its age counts from the last time
it was seen in use. Who uses a base touches it while he holds its lock. So a base that is still old
once its lock is taken here cannot have been taken up since the folders were read.
When one file cannot be read nothing is removed. Killed halfway, the next pass goes on.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from handlers.compute.drivers.image_cache import ImageCache

_BASE = re.compile(
    r"([0-9a-f]{40}|ephemeral_\d+_ext4|swap_\d+)(\.json|\.json\.new|\.part|\.converted)?"
)
_LEFTOVERS = (".part", ".converted", ".json.new")
QCOW2 = b"QFI\xfb"
NAME_BYTES_MAX = 1023
"""The longest name of a backing file that a qcow2 header may have."""


def remove_unused(cache: ImageCache, instances_dir: Path, age_s: float) -> list[str]:
    """Remove bases unused for so long and what cut-off fetches left; the names of the bases.

    Raises OSError, then nothing was removed.
    """
    began = time.time()
    used = set(_backing_files(instances_dir, (cache.folder, cache.locks)))
    removed = []
    for name in sorted(_names(cache.folder) | _names(cache.locks)):
        with cache.locked_if_free(name) as free:
            if not free:
                continue
            path = cache.folder / name
            for suffix in _LEFTOVERS:
                path.with_name(name + suffix).unlink(missing_ok=True)
            if name in used:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path)
            elif _is_old(path, began - age_s):
                removed += [name] if path.exists() else []
                path.unlink(missing_ok=True)
                path.with_name(f"{name}.json").unlink(missing_ok=True)
                (cache.locks / name).unlink()
    return removed


def backing_file(path: Path) -> str | None:
    """Return the backing file that a qcow2 file names; None for any other file."""
    with path.open("rb") as stream:
        header = stream.read(20)
        if len(header) < 20 or not header.startswith(QCOW2):
            return None
        offset, size = struct.unpack_from(">QI", header, 8)
        if not offset or not 0 < size <= NAME_BYTES_MAX:
            return None
        stream.seek(offset)
        return os.fsdecode(stream.read(size))


def _backing_files(instances_dir: Path, passed_over: tuple[Path, ...]) -> Iterator[str]:
    """The file names of all bases in use. A guest that goes away meanwhile uses none."""
    for folder in instances_dir.iterdir():
        if folder in passed_over or not folder.is_dir():
            continue
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    # Not is_file(), to which what cannot be looked at is no file.
                    regular = stat.S_ISREG(path.stat().st_mode)
                    found = backing_file(path) if regular else None
                    if found is not None:
                        yield Path(found).name


def _names(folder: Path) -> set[str]:
    """The names of bases to which the files in a folder belong; files of others are left alone."""
    if not folder.exists():
        return set()
    matches = (_BASE.fullmatch(path.name) for path in folder.iterdir())
    return {match[1] for match in matches if match is not None}


def _is_old(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return True

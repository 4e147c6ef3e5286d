"""The logs of a site's processes, kept from filling the disk beside the log that is the cloud.

Their writers hold them open for appending, some of them programs that are not ours: so a log that
has grown too large is copied and then cut, and they go on. A few lines written between the two
are lost. Where there is no room for the copy it is left out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from chronova.embedded.addresses import broker_folder, postgres_folder


def rotate(data: Path, bytes_max: int, kept: int) -> list[Path]:
    """Cut each log that is larger than ``bytes_max``, with ``kept`` older ones beside it
    (``.1`` is the newest); those that were cut."""
    cut = []
    for path in _logs(data):
        with suppress(OSError):
            if path.stat().st_size > bytes_max:
                _cut(path, kept)
                cut.append(path)
    return cut


def _logs(data: Path) -> Iterator[Path]:
    yield from sorted((data / "logs").glob("*.log"))
    yield postgres_folder(data) / "postgres.log"
    yield broker_folder(data) / "broker.log"


def _cut(path: Path, kept: int) -> None:
    older = [path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1)]
    for new, old in zip(reversed(older[1:]), reversed(older[:-1]), strict=True):
        if old.exists():
            old.replace(new)
    try:
        if older:
            shutil.copyfile(path, older[0])
    except OSError:
        older[0].unlink(missing_ok=True)
    finally:
        os.truncate(path, 0)

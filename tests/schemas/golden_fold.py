"""Which fold made the golden log's states: a changed one demands another ``FOLD_VERSION``.

``python -m tests.schemas.golden_fold`` (part of ``make schemas``) writes
``tests/golden_fold.json``: the version of the fold, and hashes of the golden log's records, of the
states' shapes, and of the states. Where only the states differ, snapshots of before would be
believed and stay wrong, so it refuses to write until
``handlers.decider.snapshot.FOLD_VERSION`` is another.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import msgspec

from chronova import __version__
from events import topics
from handlers.decider.snapshot import FOLD_VERSION, shapes
from tests.schemas.golden_log import fold, path_of, read

FILE = Path(__file__).parents[1] / "golden_fold.json"
RAISE = "the same records fold to other states: raise handlers.decider.snapshot.FOLD_VERSION"


class Fold(msgspec.Struct, frozen=True):
    """A fold of the golden log; SHA-256 (hex) of each."""

    version: int
    records: str
    shapes: str
    states: str

    def follows(self, kept: Fold) -> bool:
        """Return whether a snapshot made by ``kept`` is dropped, or right as it is."""
        same = msgspec.structs.replace(self, states=kept.states) == kept
        return not same or self.states == kept.states


def now() -> Fold:
    """Fold the golden log of this version."""
    golden = read(path_of(__version__))
    return Fold(
        version=FOLD_VERSION,
        records=_hash(golden.records),
        shapes=_hash({domain: shapes(domain) for domain in topics.DOMAINS}),
        states=_hash(fold(golden.records)),
    )


def kept() -> Fold:
    """Return the one that was written last."""
    return msgspec.json.decode(FILE.read_bytes(), type=Fold)


def write(fold: Fold, file: Path = FILE) -> bool:
    """Write it; False where the version has to be raised first."""
    if file.exists() and not fold.follows(msgspec.json.decode(file.read_bytes(), type=Fold)):
        return False
    file.write_bytes(msgspec.json.format(msgspec.json.encode(fold)) + b"\n")
    return True


def _hash(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


if __name__ == "__main__":
    if not write(now()):
        sys.exit(RAISE)

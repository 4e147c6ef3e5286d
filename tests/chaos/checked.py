"""The check of ``tests.chaos.check`` as a program, so that a version's own code does it.

    python -m tests.chaos.checked DATA LEDGER

``LEDGER`` is a JSON file: what clients were told of each server. What is wrong is printed, a
sentence a line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.sites import Site
from tests.chaos.check import check
from tests.chaos.load import Ledger


def main(data: str, told: str) -> None:
    """Check and print."""
    ledger = Ledger()
    ledger.servers = json.loads(Path(told).read_text())
    for sentence in check(Site(Path(data)), ledger):
        sys.stdout.write(sentence.replace("\n", " ") + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

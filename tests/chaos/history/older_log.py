"""The log is put back to a moment some seconds ago, by "Restore" of docs/operations.md.

Log, tables, images and keys come from the copy; hosts and their guests stay as they are, and so do
the users' passwords, which nobody has changed. What was
answered after the copy may be gone; a guest may not. What an operator does about guests that the
log no longer knows, and about servers that have none, is done at the end (``operator.settle``).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from random import Random

from tests.bench.sites import Site
from tests.chaos.history.ending import guests
from tests.chaos.history.entries import Held, PutBack, Recorder, now
from tests.chaos.victim import Victim

BETWEEN_S = (3.0, 8.0)
"""How long work goes on after the copy was made."""
STAYS = ("instances", "logs", "clouds.yaml", "openrc")
"""Hosts, what processes said, and the passwords, which are no part of a backup."""


class OlderLog:
    """A fault; ``happened`` says whether it was inflicted."""

    def __init__(self, site: Site, recorder: Recorder) -> None:
        self._site, self._recorder = site, recorder
        self.happened = False

    def __call__(self, victim: Victim, chance: Random) -> None:
        """Copy the site, let it work on, and put the copy in its place."""
        with tempfile.TemporaryDirectory(prefix="chronova-older-log-") as folder:
            copy, copied = Path(folder) / "copy", now()
            if victim.on_kafka:  # its files are of one moment only while it does not run
                self._site.chronova("down")
            self._site.chronova("backup", str(copy))
            if victim.on_kafka:
                self._site.chronova("up")
            threading.Event().wait(chance.uniform(*BETWEEN_S))
            began = now()
            self._site.chronova("down")
            self._recorder.add(*(Held(at=began, guest=guest) for guest in guests(self._site.data)))
            restore(copy, self._site.data, Path(folder))
            self._site.chronova("up")
            self._recorder.add(PutBack(copied=copied, began=began, ended=now()))
            self.happened = True


def restore(copy: Path, data: Path, beside: Path) -> None:
    """Put the copy in the place of the data folder; what ``STAYS`` is as it was."""
    for name in STAYS:
        _copy(data / name, beside / name)
    for path in data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(copy.iterdir()):
        if path.name not in STAYS:
            _copy(path, data / path.name)
    for name in STAYS:
        _copy(beside / name, data / name)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, timeout=60)

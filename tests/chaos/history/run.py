"""A run: clients at work, faults meanwhile, rest, and the history of all that in a file."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.bench.sites import BIG_HOSTS, Site
from tests.chaos.faults import Fault as Inflict
from tests.chaos.faults import faults
from tests.chaos.history.clients import Clients
from tests.chaos.history.ending import add_ending
from tests.chaos.history.entries import Fault, Recorder, Wrong, now
from tests.chaos.history.older_log import OlderLog
from tests.chaos.history.operator import settle
from tests.chaos.small_disk import NO_ROOM_KEPT
from tests.chaos.victim import Victim, wait_until

SETTINGS = {
    **BIG_HOSTS,
    **NO_ROOM_KEPT,
    "CHRONOVA_SIMULATED_DELAYS": '{"ensure_disks": 0.1, "ensure_running": 0.1, "reboot_soft": 0.2,'
    ' "reboot_hard": 0.2, "ensure_stopped": 0.2, "ensure_absent": 0.1}',
}
"""Hosts take their time, so that faults and other requests come in the middle of something."""
GO_BACK = frozenset({"kill backend", "kill postmaster", "older tables", "older log", "full disk"})
"""After these Postgres may have lost commits that nobody waits for, or holds an older copy. A
Postgres whose disk is full ends as in a crash."""
HOLDS = (
    "projector",
    "postgres",
    "broker",
    "backend",
    "postmaster",
    "older tables",
    "older log",
    "full disk",
)
"""The last words of faults during which the tables cannot follow the log."""
FULL_S = 5.0
BEGINS_S = 2.0


def run(
    site: Site,
    path: Path,
    seed: int,
    seconds: float,
    *,
    away_s: float = 6.0,
    every_s: float = 4.0,
    only: tuple[str, ...] = (),
    disk: Path | None = None,
    put_back: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the history of ``seconds`` of work under faults to ``path``.

    ``disk``: the small file system of the site, which may be filled. ``put_back``: the log may be
    put back to an older moment, too.
    """
    chance, pause = Random(seed), threading.Event()
    victim, recorder = Victim(site, away_s), Recorder(path)
    possible, older_log = all_faults(victim, disk), OlderLog(site, recorder)
    if put_back:
        possible["older log"] = older_log
    wait_until(lambda: healthy(site), 60, "the site is healthy")
    names = [name for name in sorted(possible) if not only or name in only]
    deck: list[str] = []
    since, end = now(), time.monotonic() + seconds
    with Clients(site, recorder, seed):
        pause.wait(BEGINS_S)
        while names and time.monotonic() < end:
            deck = deck or chance.sample(names, len(names))
            name = deck.pop()
            began = now()
            try:
                possible[name](victim, chance)
            except AssertionError as error:
                recorder.add(Wrong(sentence=f"{name}: {error}"))
                say(f"  WRONG: {name}: {error}")
            recorder.add(inflicted(name, began))
            say(f"  {name} ({(now() - began) / 1e6:.1f} s)")
            pause.wait(chance.uniform(0.5, every_s))
        pause.wait(max(BEGINS_S, end - time.monotonic()))
    if older_log.happened:
        settle(site, recorder)
    add_ending(site, recorder, since)


def inflicted(name: str, began: int) -> Fault:
    """The entry of a fault that is over."""
    back, holds = name in GO_BACK, name.endswith(HOLDS)
    return Fault(name=name, began=began, ended=now(), tables_go_back=back, holds_tables=holds)


def all_faults(victim: Victim, disk: Path | None) -> dict[str, Inflict]:
    """What can be done to this site."""
    found = faults(victim.on_kafka)
    if victim.on_kafka:
        found["older tables"] = OlderTables(victim)
    if disk is not None:
        found["full disk"] = filling(disk)
    return found


def healthy(site: Site) -> bool:
    """Whether all parts of it say that they work."""
    try:
        with urllib.request.urlopen(f"{site.settings.url}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class OlderTables:
    """A copy of the tables from the beginning is put back, while the log lies elsewhere."""

    def __init__(self, victim: Victim) -> None:
        self._copy = victim.data / "older-tables"
        shutil.rmtree(self._copy, ignore_errors=True)
        with victim.postgres_stopped():
            copy(victim.database.cluster, self._copy)

    def __call__(self, victim: Victim, chance: Random) -> None:
        """Put the copy in place of the tables."""
        with victim.postgres_stopped():
            shutil.rmtree(victim.database.cluster)
            copy(self._copy, victim.database.cluster)


def copy(source: Path, target: Path) -> None:
    """With owners and modes, which Postgres insists on."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, timeout=60)


def filling(disk: Path) -> Inflict:
    """The disk under everything is full for a while."""

    def fill(victim: Victim, chance: Random) -> None:
        path, pause = disk / "fill", threading.Event()
        end = time.monotonic() + FULL_S
        while time.monotonic() < end:
            fill_up(path)
            pause.wait(0.1)
        path.unlink()
        wait_until(lambda: victim.database.pid is not None, 60, "Postgres after a full disk")

    return fill


def fill_up(path: Path) -> None:
    """Write to a file until nothing more can be."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue

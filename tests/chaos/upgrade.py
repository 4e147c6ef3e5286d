"""A rolling upgrade and back under load: each role is restarted as the other version, in any order.

    python -m tests.chaos.upgrade --minutes 10 --log kafka

Two versions are at work at any time: the roles of the site, each as today's or tomorrow's, and
a second decider that is always of the other version than the first. So what only tomorrow's
version can read may not be written. At the end the last process of today's version goes: then the
feature level rises, it is written, and today's version is refused (``tests.chaos.raised``).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from chronova.supervisor import ROLES
from tests.bench.sites import Site, site
from tests.chaos.faults import GRACE_S
from tests.chaos.load import Load
from tests.chaos.raised import await_announced, checked, holds_back, refused, risen, still_low
from tests.chaos.rounds import prepare
from tests.chaos.versions import Version, today, tomorrow
from tests.chaos.victim import Victim, folder_of

BEGINS = "import sys; from chronova import settings, supervisor;"
BEGINS += "supervisor.begin(settings.load(sys.argv[1]))"

SIGNS = (
    *("delivery_given_up", "effects_lost", "partition_ill", "partition_waits", "refused"),
    *("reply_unreadable", "role_ended", "set_aside", "thread_died", "unknown_work"),
    *("unreadable_work", "Traceback", "UnknownSchema", "UnknownMessage"),
)
"""Names of what roles log when they cannot read something, or end of it."""

LIBRARIES = ('"logger": "kafka.', '"logger": "sqlalchemy.')

PROGRESS_S = 30.0


class SecondDecider(AbstractContextManager["SecondDecider"]):
    """Another decider of the site, of either version."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._data = site.data
        self._process: subprocess.Popen[bytes] | None = None
        self.ended: list[str] = []

    def run(self, version: Version) -> None:
        """End the one that runs and start one of this version; it has announced itself then."""
        self.end()
        command = [sys.executable, "-m", "chronova", "--data", str(self._data), "serve", "decider"]
        with (self._data / "logs" / "second-decider.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=version.folder, env=version.environment, stdout=output, stderr=output
            )
        await_announced(self._site, self._process.pid)

    @property
    def pid(self) -> int:
        """Of the one that runs."""
        assert self._process is not None
        return self._process.pid

    def end(self) -> None:
        """SIGTERM, as a restart does it; it must have lived until then."""
        if self._process is not None:
            if self._process.poll() is not None:
                self.ended.append(f"the second decider ended with {self._process.returncode}")
            self._process.terminate()
            self._process.wait(GRACE_S)
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.end()


class Upgrade:
    """Which role runs as which version, and how that is changed."""

    def __init__(self, victim: Victim, versions: tuple[Version, Version]) -> None:
        self._victim = victim
        self._versions = versions
        self._marks = {path: path.stat().st_size for path in self._logs()}
        self._runs = dict.fromkeys(ROLES, 0)
        self._pids: dict[str, int] = {}
        self.wrong: list[str] = []

    def supervise(self, number: int) -> None:
        """Let the supervisor be of this version: what it starts from now on is so too. The roles
        live on."""
        supervisor = self._victim.process("supervisor")
        supervisor.kill()
        psutil.wait_procs([supervisor], GRACE_S)
        self._versions[number].run("-c", BEGINS, str(self._victim.data))

    def restart(self, role: str, number: int) -> None:
        """Restart a role as this version, cleanly."""
        process = self._victim.process(role)
        if self._pids.get(role, process.pid) != process.pid:
            self.wrong.append(f"the {role} ended by itself")
        process.terminate()
        psutil.wait_procs([process], GRACE_S)
        assert not process.is_running(), f"the {role} did not end within {GRACE_S} s"
        self._pids[role] = self._victim.process(role).pid
        self._runs[role] = number

    def roll(self, second: SecondDecider, load: Load, chance: random.Random, to: int) -> None:
        """Bring every role to this version, in any order; the site goes on after each."""
        self.supervise(to)
        for role in chance.sample(ROLES, len(ROLES)):
            before = load.acknowledged()
            if role == "decider" and to == 1:
                second.run(self._versions[0])  # first: one of today's has always to be there
            self.restart(role, to)
            if role == "decider" and to == 0:
                await_announced(self._victim.site, self._pids[role])
                second.run(self._versions[1])
            load.progress(before, PROGRESS_S)
            name = ("today", "tomorrow")[to]
            say(f"{role}: {name}'s")

    def signs(self) -> list[str]:
        """Lines in the logs that say that something could not be read, and what ended by itself."""
        found = list(self.wrong)
        for path in self._logs():
            with path.open("rb") as file:
                file.seek(self._marks.get(path, 0))
                lines = file.read().decode(errors="replace").splitlines()
            found += [f"{path.name}: {line[:600]}" for line in lines if _is_sign(line)]
        return found

    def _logs(self) -> list[Path]:
        return sorted(folder_of(self._victim.site).glob("*.log"))


def _is_sign(line: str) -> bool:
    """Libraries tell of a connection that a restart closed with a traceback: that is no sign."""
    return any(sign in line for sign in SIGNS) and not any(name in line for name in LIBRARIES)


def drill(
    victim: Victim, newer: Version, seconds: float, seed: int, rate: float = 4.0
) -> list[str]:
    """Go to ``newer`` and back until the time is over, once at least, then there for good, and let
    the feature level rise; all that went wrong. The site is the newer version's afterwards."""
    chance, end = random.Random(seed), time.monotonic() + seconds
    versions, pause = (today(), newer), threading.Event()
    newer.run("-m", "chronova", "--data", str(victim.data), "topics", "create")
    upgrade = Upgrade(victim, versions)
    wrong: list[str] = []
    with SecondDecider(victim.site) as second:
        second.run(newer)
        with Load(victim.site, rate=rate, seed=seed) as load:
            while True:
                for to in (1, 0):
                    upgrade.roll(second, load, chance, to)
                    pause.wait(chance.uniform(0.5, 3.0))
                wrong += still_low(victim.site, newer)
                if time.monotonic() >= end:
                    break
            upgrade.roll(second, load, chance, 1)
            wrong += holds_back(victim.site, newer, second.pid)
            second.end()
            wrong += risen(victim.site, newer)
            say("the feature level has risen")
            wrong += refused(victim.site, today(), newer, ("decider", "projector", "api"))
        wrong += upgrade.signs()
        wrong += checked(victim.site, newer, load.ledger)
    if load.acknowledged() < 10:
        wrong.append(f"only {load.acknowledged()} requests were acknowledged")
    say(f"{dict(load.ledger.counts)}; slowest {load.ledger.slowest_s:.1f} s")
    return [*wrong, *second.ended]


def say(what: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stdout.flush()


def main() -> int:
    """Make a site and drill; 1 and a sentence for each violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.upgrade", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--port", type=int, default=18852)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chronova-tomorrow-") as folder,
        site(options.log, port=options.port) as running,
    ):
        prepare(running)
        newer = tomorrow(Path(folder))
        wrong = drill(Victim(running), newer, options.minutes * 60, options.seed)
    for sentence in wrong:
        sys.stdout.write(f"WRONG: {sentence}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

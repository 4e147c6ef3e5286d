"""The feature level in the upgrade drill: it holds while one old process lives, and rises then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from chronova.connections import open_site_log
from events.features import Reached
from events.log.features_in_log import FeaturesInLog
from events.log.records import Codec
from events.topics import events
from handlers.features import Heartbeats
from tests.bench.sites import Site
from tests.chaos.feature import ASK, LEVEL
from tests.chaos.load import Ledger
from tests.chaos.versions import Version
from tests.chaos.victim import wait_until
from tests.tidy.tree import ROOT

WINDOW_US = 60_000_000
ANNOUNCED_S = 60.0
RISES_S = 60.0
NOTED_S = 60.0
ENDS_S = 60.0
REFUSED = "the cluster's feature level is 2, and this version of Chronova (1) does not know it"


def reached(site: Site) -> Reached:
    """The level of the site's log."""
    log = open_site_log(site.settings)
    try:
        return FeaturesInLog(log)()
    finally:
        log.close()


def noted(site: Site) -> int:
    """How many facts of the level there are."""
    return sum(
        record_type == "chronova.compute.BootNoted" for record_type in _types(site, "compute")
    )


def _types(site: Site, domain: str) -> list[str]:
    log = open_site_log(site.settings)
    try:
        topic = events(domain)
        reader = log.reader({(topic, number): 0 for number in range(log.partitions(topic))})
        found: list[str] = []
        try:
            ends = reader.ends()
            while any(reader.positions()[source] < end for source, end in ends.items()):
                found += [record.headers.get("ce_type", "") for record in reader.poll(1.0, 5000)]
        finally:
            reader.close()
        return found
    finally:
        log.close()


def await_announced(site: Site, pid: int) -> None:
    """Wait until this process has said which level it knows."""
    log = open_site_log(site.settings)
    beats = Heartbeats(log, Codec(), WINDOW_US)

    def heard() -> bool:
        beats.listen()
        return any(process == str(pid) for _, _, process in beats.members.live())

    try:
        wait_until(heard, ANNOUNCED_S, f"process {pid} announces itself")
    finally:
        beats.close()
        log.close()


def ask(site: Site, newer: Version) -> str:
    """Ask for a fact of the level: why it is refused, or what came of it."""
    return newer.run("-c", ASK, str(site.data)).strip()


def level_shown(site: Site, version: Version) -> dict[str, list[str]]:
    """What ``chronova status`` of a version says of the level."""
    shown = version.run("-m", "chronova", "--data", str(site.data), "status", "--json")
    level: dict[str, list[str]] = json.loads(shown)["level"]
    return level


def still_low(site: Site, newer: Version) -> list[str]:
    """What is wrong while one process of today's version lives: nothing may be written."""
    answer, level, count = ask(site, newer), reached(site), noted(site)
    wrong = []
    if level != Reached() or count:
        wrong.append(f"an old process lives, the level is {level}, {count} facts were noted")
    if "needs feature level 2, and 1 is enabled" not in answer:
        wrong.append(f"an old process lives, and what needs the level was answered: {answer}")
    return wrong


def holds_back(site: Site, newer: Version, pid: int) -> list[str]:
    """What is wrong when only this process is of today's version: it alone is named."""
    shown: list[str] = []

    def alone() -> bool:
        shown[:] = level_shown(site, newer)["held_back_by"]
        return len(shown) == 1

    wait_until(alone, RISES_S + WINDOW_US / 1e6, f"one process holds the level back, not {shown}")
    if f"(process {pid}): level 1" not in shown[0]:
        return [f"{shown[0]} holds the level back, and not process {pid}"]
    return still_low(site, newer)


def risen(site: Site, newer: Version) -> list[str]:
    """What is wrong when no process of today's version is left: boots are noted soon."""
    wait_until(lambda: reached(site) == Reached(LEVEL, LEVEL), RISES_S, "the level rises")
    wait_until(lambda: noted(site) >= 3, NOTED_S, "boots are noted")
    answer = ask(site, newer)
    return [] if answer == "BootNoted" else [f"the level is enabled, and asked was: {answer}"]


def refused(site: Site, older: Version, newer: Version, roles: Sequence[str]) -> list[str]:
    """What is wrong when processes of today's version start again: each is refused, and named."""
    programs = {
        role: subprocess.Popen(
            [sys.executable, "-m", "chronova", "--data", str(site.data), "serve", role],
            cwd=older.folder,
            env=older.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for role in roles
    }
    wrong = []
    for role, program in programs.items():
        said, _ = program.communicate(timeout=ENDS_S)
        if program.returncode == 0 or REFUSED not in said or "Traceback" in said:
            wrong.append(f"the old {role} ended with {program.returncode}: {said[-600:]}")
    named = level_shown(site, newer)["refused"]
    if len(named) < len(roles):
        wrong.append(f"{len(roles)} old processes were refused, named are {named}")
    return wrong


def checked(site: Site, newer: Version, ledger: Ledger) -> list[str]:
    """What the newer version finds wrong in what both have written: state, chain and tables."""
    told = site.data / "told.json"
    told.write_text(json.dumps(ledger.servers))
    tester = Version(newer.folder, (ROOT,))
    wrong = tester.run("-m", "tests.chaos.checked", str(site.data), str(told)).splitlines()
    for verb in (("log", "verify"), ("projection", "rebuild")):
        newer.run("-m", "chronova", "--data", str(site.data), *verb)
    return ledger.violations + wrong

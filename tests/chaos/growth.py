"""What each process holds, and whether it holds ever more: memory, files, connections. How far
the projection lags behind meanwhile."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping

import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.sites import Site
from tests.chaos.victim import Victim

RSS_MIB_MAX, DESCRIPTORS_MAX, THREADS_MAX = 25.0, 15, 5
"""Growth of a process between its second measurement and its last."""


LAG_S_MAX = 0.1
"""99 of 100 batches are shown within this."""


class Held(msgspec.Struct, frozen=True):
    """What one process holds."""

    pid: int
    rss_mib: float
    descriptors: int
    threads: int


def held(victim: Victim) -> dict[str, Held]:
    """By name: the roles, the API's workers, and Postgres's sessions (their number alone)."""
    processes = {name: victim.process(name) for name in ("supervisor", "decider", "projector")}
    processes["agent"] = victim.process("agent")
    for number, worker in enumerate(sorted(victim.workers(), key=lambda process: process.pid)):
        processes[f"api worker {number}"] = worker
    found = {name: _of(process) for name, process in processes.items()}
    found["postgres sessions"] = Held(0, 0.0, len(victim.backends()), 0)
    return found


def grown(before: dict[str, Held], after: dict[str, Held]) -> list[str]:
    """A sentence for each process that holds too much more than before."""
    wrong = []
    for name, last in after.items():
        first = before.get(name)
        if first is None or first.pid != last.pid:
            wrong.append(f"{name} is another process than before")
            continue
        for what, more, most in (
            ("MiB", last.rss_mib - first.rss_mib, RSS_MIB_MAX),
            ("descriptors", last.descriptors - first.descriptors, DESCRIPTORS_MAX),
            ("threads", last.threads - first.threads, THREADS_MAX),
        ):
            if more > most:
                wrong.append(f"{name} holds {more:.0f} {what} more than before")
    return wrong


def _of(process: psutil.Process) -> Held:
    with process.oneshot():
        rss_mib = round(process.memory_info().rss / 2**20, 1)
        return Held(process.pid, rss_mib, process.num_fds(), process.num_threads())


def delays(site: Site) -> dict[float, float]:
    """How many batches were shown within so many seconds of their append, since the start."""
    with urllib.request.urlopen(f"{site.settings.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "chronova_projection_delay_seconds_bucket"
    }


def percentile_99(before: Mapping[float, float], after: Mapping[float, float]) -> float:
    """Seconds within which 99 of 100 were shown between the two measurements, rounded up to the
    histogram's next bound. ``ValueError`` when there were none."""
    shown = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    total = shown[float("inf")]
    if not total:
        raise ValueError("nothing was projected between the two measurements")
    return next(bound for bound, count in shown.items() if count >= 0.99 * total)

"""``make bench-profile``: where the time of one boot (and one stop) goes.

Hop by hop from the records' own append times, CPU by process from the kernel's accounts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from typing import Any

from rich.console import Console
from rich.table import Table

from chronova.connections import open_site_log
from chronova.domains import load_messages
from chronova.inspect.state import known_hosts
from events import topics
from events.log.contract import EARLIEST, Log, Record
from tests.bench.sites import Site, site

TOPICS = (
    "compute.commands",
    "compute.events",
    "fleet.commands",
    "fleet.events",
    "compute.reports",
    topics.REPLIES,
)


def records_of(log: Log, hosts: list[str]) -> dict[str, list[Record]]:
    """All records of these topics, and of these hosts' own, by request id, in order of their
    append times."""
    names = [*TOPICS, *map(topics.dispatch, hosts)]
    reader = log.reader({(t, p): EARLIEST for t in names for p in range(log.partitions(t))})
    ends, found = reader.ends(), defaultdict(list)
    while any(reader.positions()[source] < end for source, end in ends.items()):
        for record in reader.poll(1.0, 5000):
            found[record.headers.get("ce_requestid", "")].append(record)
    reader.close()
    return {request: sorted(some, key=lambda r: r.timestamp) for request, some in found.items()}


def hops(requests: list[list[Record]]) -> list[tuple[str, float, float]]:
    """(record, milliseconds after the first one, after the one before), medians."""
    by_name: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for records in requests:
        first = before = records[0].timestamp
        seen: dict[str, int] = defaultdict(int)
        for record in records:
            kind = record.headers["ce_type"].removeprefix("chronova.")
            seen[kind] += 1
            topic = (
                "compute.dispatch" if record.topic.startswith(topics.DISPATCHES) else record.topic
            )
            name = f"{topic}: {kind}" + (f" ({seen[kind]})" if seen[kind] > 1 else "")
            by_name[name].append((record.timestamp - first, record.timestamp - before))
            before = record.timestamp
    rows = [
        (
            name,
            statistics.median(t for t, _ in times) / 1e3,
            statistics.median(d for _, d in times) / 1e3,
        )
        for name, times in by_name.items()
        if len(times) * 2 > len(requests)
    ]
    return sorted(rows, key=lambda row: row[1])


def cpu(here: Site) -> dict[str, float]:
    """CPU seconds so far by role, descendants included (the supervisor alone)."""
    found = {}
    for name, process in here.processes().items():
        family = [process] if name == "supervisor" else [process, *process.children(recursive=True)]
        found[name] = sum(sum(one.cpu_times()[:2]) for one in family)
    return found


def timed(here: Site, count: int) -> tuple[dict[str, list[float]], dict[str, float], list[str]]:
    """Boot and stop ``count`` servers one after the other; latencies in ms, CPU, request ids."""
    client = here.client()
    image = client.call("GET", "/image/v2/images?name=demo")["images"][0]["id"]
    body = {"name": "p", "imageRef": image, "flavorRef": "1", "networks": []}
    took: dict[str, list[float]] = defaultdict(list)
    ids = []
    before = cpu(here)
    for _ in range(count):
        began = time.perf_counter()
        id = client.call("POST", "/compute/v2.1/servers", {"server": body})["server"]["id"]
        took["POST"].append(time.perf_counter() - began)
        _until(client, id, "ACTIVE")
        took["POST → ACTIVE"].append(time.perf_counter() - began)
        ids.append(id)
    after = cpu(here)
    for id in ids:
        began = time.perf_counter()
        client.call("POST", f"/compute/v2.1/servers/{id}/action", {"os-stop": None})
        took["os-stop"].append(time.perf_counter() - began)
        _until(client, id, "SHUTOFF")
        took["os-stop → SHUTOFF"].append(time.perf_counter() - began)
    return took, {name: after[name] - before[name] for name in after}, ids


def _until(client: Any, id: str, status: str) -> None:
    end = time.monotonic() + 30
    while client.call("GET", f"/compute/v2.1/servers/{id}")["server"]["status"] != status:
        if time.monotonic() > end:
            raise SystemExit(f"{id} is not {status} after 30 s")
        time.sleep(0.001)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Where the time of one boot goes.")
    parser.add_argument("--logs", nargs="+", default=["postgres", "kafka"])
    parser.add_argument("--count", type=int, default=50)
    arguments = parser.parse_args()
    load_messages()
    console = Console()
    for name in arguments.logs:
        with site(name) as here:
            here.unlimited()
            timed(here, 10)
            took, used, ids = timed(here, arguments.count)
            log = open_site_log(here.settings)
            requests = records_of(log, known_hosts(here.settings))
            log.close()
            _report(console, name, took, used, ids, requests)


def _report(
    console: Console,
    name: str,
    took: dict[str, list[float]],
    used: dict[str, float],
    ids: list[str],
    requests: dict[str, list[Record]],
) -> None:
    console.rule(f"LOG={name}")
    for what, times in took.items():
        console.print(f"{what:<20} {statistics.median(times) * 1e3:7.1f} ms median")
    for kind in ("CreateServers", "StopServer"):
        stories = [
            r for r in requests.values() if r[0].headers["ce_type"] == f"chronova.compute.{kind}"
        ][-len(ids) :]
        table = Table(title=f"{kind}: {len(stories)} requests", title_justify="left")
        for title in ("record", "at (ms)", "after (ms)"):
            table.add_column(title, justify="left" if title == "record" else "right")
        for record, at, after in hops(stories):
            table.add_row(record, f"{at:.2f}", f"{after:.2f}")
        console.print(table)
    total = sum(used.values()) / len(ids) * 1e3
    shares = ", ".join(f"{n} {v / len(ids) * 1e3:.1f}" for n, v in used.items())
    console.print(f"CPU per boot: {total:.1f} ms ({shares})\n")


if __name__ == "__main__":
    main()

"""``make bench``: Chronova measured from outside on both logs, with Nova's figures beside it.

Options (``make bench BENCH="--logs postgres --existing 0"``): which logs, how many servers exist
beforehand in the second round, where to write the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.sites import Site, run_json, site

REBUILT = 5000
"""Servers of each of two projects whose events are there to rebuild from: with the few thousand
events of the other figures a rebuild is start-up alone."""

MEASURE = Path(__file__).with_name("measure.py")

ROWS = (
    # what, how to get it, targets (postgres, kafka), Nova 34 with its fake driver
    ("POST /servers, median", "post", ("≤ 9 ms", "≤ 14 ms"), "67 ms"),
    ("POST → ACTIVE, median", "active", ("≤ 18 ms", "≤ 30 ms"), "473 ms"),
    ("200 boots, 8 clients", "boots", ("≥ 260/s", "≥ 220/s"), "2.8/s"),
    ("CPU of all processes per boot", "cpu", ("≤ 5 ms", "≤ 7 ms"), "680 ms"),
    ("stop → SHUTOFF, median", "stop", ("≤ 15 ms", "≤ 22 ms"), "128 ms"),
    ("start → ACTIVE, median", "start", ("≤ 15 ms", "≤ 22 ms"), "182 ms"),
    ("GET /servers/detail, 200 servers", "list", ("≤ 20 ms", "≤ 20 ms"), "456-595 ms"),
    ("GET /servers/{id}, 8 clients", "get", ("≥ 1,200/s", "≥ 1,200/s"), "64-87/s"),
    ("delete 200, 8 clients", "delete", ("≥ 80/s", "≥ 50/s"), "5.1/s"),
    ("memory of everything, PSS (RSS)", "memory", ("≤ 500 MiB", "≤ 500 MiB"), "3,900 MiB RSS"),
    ("projection rebuild", "rebuild", ("≥ 20,000/s", "≥ 15,000/s"), "no such thing"),
)


def measured(figures: dict[str, Any]) -> dict[str, str]:
    """The table's figures from the measuring client's."""
    s = figures["steps"]
    single, sustained, reads = s["1_single_boot"], s["2_sustained"], s["4_reads"]
    return {
        "post": f"{single['post_ms']['median']:.1f} ms",
        "active": f"{single['post_to_active_ms']['median']:.1f} ms",
        "boots": f"{sustained['boots_per_s']:.0f}/s",
        "cpu": f"{sustained['cloud_cpu_ms_per_boot']:.1f} ms",
        "stop": f"{s['5_actions']['stop_to_shutoff_ms']['median']:.1f} ms",
        "start": f"{s['5_actions']['start_to_active_ms']['median']:.1f} ms",
        "list": f"{reads['list_detail_200_v2.90_ms']['median']:.1f} ms",
        "get": f"{s['4_reads_concurrent']['get_one_per_s']:,.0f}/s",
        "delete": f"{s['6_delete']['deletes_per_s']:.0f}/s",
    }


def wrk_gets(here: Site, seconds: int = 5) -> str | None:
    """GETs of one server a second by wrk with 8 connections; None without wrk."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    client = here.client("demo")
    servers = client.call("GET", "/compute/v2.1/servers?limit=1")["servers"]
    if not servers:
        return None
    url = f"{here.settings.url}/compute/v2.1/servers/{servers[0]['id']}"
    command = [wrk, "-t1", "-c8", f"-d{seconds}s", "-H", f"X-Auth-Token: {client.token}", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"wrk: {text}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return f"{float(found[1]):,.0f}/s" if found else None


def run(log: str, existing: int, console: Console) -> dict[str, str]:
    """One log's figures: with an empty cloud, then (``existing``) with that many servers."""
    console.print(f"[bold]{log}[/bold]: starting a site")
    with site(log) as here:
        here.unlimited()
        found = round_of(here, f"{log}, empty")
        rss, pss = here.memory()
        found["memory"] = f"{pss:.0f} ({rss:.0f}) MiB"
        here.boot("demo", 1)
        found["get"] = wrk_gets(here) or found["get"]
        if existing:
            here.boot("demo", existing)
            console.print(f"[bold]{log}[/bold]: {existing:,} servers exist")
            more = round_of(here, f"{log}, {existing:,} servers")
            rss, pss = here.memory()
            more["memory"] = f"{pss:.0f} ({rss:.0f}) MiB"
            more["get"] = wrk_gets(here) or more["get"]
            found |= {f"{name}+": value for name, value in more.items()}
        for user in ("admin", "demo"):
            here.boot(user, REBUILT)
        rebuilt = json.loads(here.chronova("projection", "rebuild", "--json"))
        found["rebuild"] = f"{rebuilt['read'] / rebuilt['seconds']:,.0f}/s"
        console.print(f"rebuilt {rebuilt['events']:,} events in {rebuilt['seconds']:.1f} s")
        return found


def round_of(here: Site, label: str) -> dict[str, str]:
    """The measuring client once, in the project admin."""
    out = here.data / "figures.json"
    out.unlink(missing_ok=True)
    environment = {
        **here.environment,
        "BENCH_IMAGE": "demo",
        "BENCH_FLAVOR": "m1.tiny",
        "BENCH_PID_DIR": str(here.pid_folder()),
    }
    command = [sys.executable, str(MEASURE), "--clean", "--label", label, "--out", str(out)]
    return measured(run_json(command, environment, out))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--logs", nargs="+", default=["postgres", "kafka"])
    parser.add_argument("--existing", type=int, default=0)
    parser.add_argument("--out", default="", help="write the figures as JSON too")
    arguments = parser.parse_args()
    console = Console(width=140)
    found = {log: run(log, arguments.existing, console) for log in arguments.logs}
    table = Table(title=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    table.add_column("")
    for log in found:
        table.add_column(f"LOG={log}", justify="right")
        table.add_column("wanted", justify="right", style="dim")
        if arguments.existing:
            table.add_column(f"with {arguments.existing:,} servers", justify="right")
    table.add_column("Nova 34", justify="right")
    for title, name, wanted, nova in ROWS:
        cells = []
        for log, figures in found.items():
            cells += [figures.get(name, "-"), wanted[0 if log == "postgres" else 1]]
            if arguments.existing:
                cells.append(figures.get(f"{name}+", "-"))
        table.add_row(title, *cells, nova)
    console.print(table)
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

"""What must hold when all has come to rest: nothing lost, nothing stuck, every sum exact.

Three sources are compared: what clients were told (the ledger), what the API shows, and a fold of
the log made here, which also checks that positions are gapless and the hash chain is whole.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chronova.client import Client, ClientError
from chronova.connections import open_site_log
from chronova.domains import load_projections
from events import topics
from events.log.contract import Log
from events.log.records import Codec
from handlers.compute.drivers.contract import PowerState
from handlers.compute.drivers.simulated_guests import JOURNAL
from handlers.decider.partition import Partition
from projections.verify import verify
from tests.bench.sites import Site
from tests.chaos.load import ACTIVE, DELETED, Ledger

QUIET_S = 60.0
TURN_S = 0.25
FOLD_S = 60.0
NO_HOST = "No valid host was found."


def check(
    site: Site, ledger: Ledger, quiet_s: float = QUIET_S, *, hosts_were_down: bool = False
) -> list[str]:
    """All that is wrong, a sentence each; empty when nothing is. ``hosts_were_down``: a boot may
    have found no host."""
    load_projections()
    client, wrong = at_rest(site, ledger, quiet_s)
    shown = {server["id"]: server for server in all_servers(client)}
    wrong += _against_the_ledger(shown, ledger, hosts_were_down)
    wrong += _quotas(client, shown)
    log = open_site_log(site.settings)
    try:
        states = folded(log)
        wrong += _against_the_log(shown, states)
        wrong += _guests(site.data, shown)
        found = verify(log, site.settings.database_url)
        wrong += [
            f"projection: {table.table} differs in {table.differing[:5]}"
            for table in found.tables
            if table.differing
        ]
    finally:
        log.close()
    return ledger.violations + wrong


def at_rest(site: Site, ledger: Ledger, quiet_s: float) -> tuple[Client, list[str]]:
    """Wait until nothing is in flight any more; a sentence for each server that never rests."""
    end = time.monotonic() + quiet_s
    pause = threading.Event()
    client: Client | None = None
    busy: list[str] = ["the API did not answer"]
    while time.monotonic() < end:
        try:
            client = client or site.client()
            busy = _in_flight(client, ledger)
            if not busy:
                return client, []
        except ClientError as error:
            busy = [f"the API did not answer: {error}"]
            if error.status not in (0, 503):
                raise
        pause.wait(TURN_S)
    return client or site.client(), [f"after {quiet_s:.0f} s still: {what}" for what in busy[:10]]


def _in_flight(client: Client, ledger: Ledger) -> list[str]:
    shown = all_servers(client)
    wanted = {id for id, state in ledger.servers.items() if state == ACTIVE}
    busy = [f"{id} is not shown" for id in wanted - {server["id"] for server in shown}]
    for server in shown:
        task = server["OS-EXT-STS:task_state"]
        deleted = ledger.servers.get(server["id"]) == DELETED
        if task is not None or deleted or server["status"] == "BUILD":
            busy.append(f"{server['id']} {server['status']} {task}")
    return busy


def all_servers(client: Client) -> list[dict[str, Any]]:
    """Every server of every project, page by page."""
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        path = f"/compute/v2.1/servers/detail?all_tenants=1&limit=500{marker}"
        page = client.call("GET", path)["servers"]
        found += page
        if len(page) < 500:
            return found
        marker = f"&marker={page[-1]['id']}"


def _against_the_ledger(
    shown: dict[str, dict[str, Any]], ledger: Ledger, hosts_were_down: bool
) -> list[str]:
    wrong = []
    for server_id, wanted in ledger.servers.items():
        there = shown.get(server_id)
        if wanted == ACTIVE and there is None:
            wrong.append(f"{server_id} was acknowledged and is lost")
        elif wanted == ACTIVE and there is not None and there["status"] != "ACTIVE":
            if hosts_were_down and NO_HOST in there.get("fault", {}).get("message", ""):
                continue
            wrong.append(f"{server_id} is {there['status']}: {there.get('fault')}")
        elif wanted == DELETED and there is not None:
            wrong.append(f"{server_id} was deleted and is {there['status']}")
    return wrong


def _quotas(client: Client, shown: dict[str, dict[str, Any]]) -> list[str]:
    wrong = []
    projects = client.call("GET", "/identity/v3/projects")["projects"]
    for project in projects:
        own = [server for server in shown.values() if server["tenant_id"] == project["id"]]
        path = f"/compute/v2.1/os-quota-sets/{project['id']}/detail"
        quota = client.call("GET", path)["quota_set"]
        used = {name: quota[name]["in_use"] for name in ("instances", "cores", "ram")}
        # Flavor 42, which all of the load's servers have: one vCPU, 1 MiB.
        wanted = {"instances": len(own), "cores": len(own), "ram": len(own)}
        if used != wanted:
            wrong.append(f"quota of {project['name']}: {used} in use, but servers use {wanted}")
    return wrong


def folded(log: Log) -> dict[str, dict[str, Any]]:
    """The states of all aggregates by kind and id; positions and hash chain are checked.

    Raises ``handlers.decider.partition.ForeignLog`` where an event does not follow the one before.
    """
    states: dict[str, dict[str, Any]] = {}
    for partition in partitions(log):
        for kind, found in partition.states.items():
            states.setdefault(kind, {}).update(found)
    return states


def partitions(log: Log) -> list[Partition]:
    """Every partition of every domain, folded to its end."""
    codec = Codec()
    found = {
        (topics.events(domain), number): Partition(domain, number, codec)
        for domain in topics.DOMAINS
        for number in range(log.partitions(topics.events(domain)))
    }
    reader = log.reader(dict.fromkeys(found, 0))
    end = time.monotonic() + FOLD_S
    try:
        ends = reader.ends()
        while any(reader.positions()[source] < ends[source] for source in found):
            for record in reader.poll(1.0, 5000):
                found[record.source].fold(record)
            assert time.monotonic() < end, "the events could not be read to their end"
    finally:
        reader.close()
    return list(found.values())


def _against_the_log(
    shown: dict[str, dict[str, Any]], states: dict[str, dict[str, Any]]
) -> list[str]:
    servers, allocations, hosts = states["server"], states["allocation"], states["host"]
    wrong = [f"{id} is in the log but not shown" for id in servers.keys() - shown.keys()]
    wrong += [f"{id} is shown but not in the log" for id in shown.keys() - servers.keys()]
    wrong += [f"{id} holds room and is gone" for id in allocations.keys() - servers.keys()]
    for id, server in servers.items():
        holds = allocations.get(id)
        if server.host is not None and (holds is None or holds.host != server.host):
            wrong.append(f"{id} is on {server.host} but holds {holds and holds.host}")
    counted = Counter(allocation.host for allocation in allocations.values())
    wrong += [
        f"{host.host} counts {host.servers} servers, {counted[host.host]} are claimed there"
        for host in hosts.values()
        if host.servers != counted[host.host]
    ]
    return wrong


def _guests(data: Path, shown: dict[str, dict[str, Any]]) -> list[str]:
    """The guests that hypervisors run, against the servers that are active."""
    wrong = []
    running: Counter[str] = Counter()
    for journal in sorted((data / "instances").glob(f"*/{JOURNAL}")):
        host = journal.parent.name
        for server_id, state in guests(journal).items():
            running[server_id] += state == PowerState.RUNNING
            there = shown.get(server_id)
            if there is None or there["OS-EXT-SRV-ATTR:host"] != host:
                wrong.append(f"{host} has a guest of {server_id}, which is not its own")
    for server_id, server in shown.items():
        if running[server_id] != (server["status"] == "ACTIVE"):
            wrong.append(f"{server_id} is {server['status']} and runs {running[server_id]} times")
    return wrong


def guests(journal: Path) -> dict[str, int]:
    """The power state of each guest in a simulated host's journal, by server id."""
    found: dict[str, int] = {}
    for line in journal.read_bytes().splitlines():
        entry = json.loads(line)
        if guest := entry.get("guest"):
            found[guest["server_id"]] = guest.get("state", PowerState.NOSTATE)
        elif absent := entry.get("absent"):
            found.pop(absent, None)
    return found

"""A site restored to an older moment by the recipe of docs/operations.md, as an operator runs it.

The copy is older than the hosts: since it was made one server was built to its end, one stopped,
one deleted, one created. Nothing of that may cost a guest or make an empty disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from handlers.compute.drivers.contract import PowerState
from handlers.compute.drivers.simulated_guests import JOURNAL, SimulatedHypervisor
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site, site

pytestmark = SDK_WARNS_OF_ITSELF

RECIPE = re.compile(r"\*\*One machine, to an older moment\.\*\*.*?\n\n((?:    [^\n]*\n)+)", re.S)
BUILD_S = 4.0
"""How long a build takes: the copy is made meanwhile."""


@pytest.fixture(params=["postgres", "kafka"])
def before(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose builds take a while."""
    delays = {"CHRONOVA_SIMULATED_DELAYS": json.dumps({"ensure_disks": BUILD_S})}
    with site(request.param, folder="a site", variables=delays) as running:
        yield running


@pytest.mark.timeout(900)
def test_restored_to_an_older_moment(before: Site) -> None:
    """Newer snapshots lie beside the restored log. With the log in Postgres, where that takes
    seconds, it is brought up without any afterwards."""
    copy, folder = before.data.parent / "a copy", before.data.parent / "its new folder"
    servers = {name: boot(before, name) for name in ("kept", "stopped", "deleted", "moved")}
    wait(before, servers, "ACTIVE")
    servers["building"] = boot(before, "building")
    if before.settings.on_kafka:
        assert "down" in before.chronova("backup", str(copy), code=2).error
        before.chronova("down")
    before.chronova("backup", str(copy))
    assert "already" in before.chronova("backup", str(copy), code=2).error
    assert not (copy / "snapshots").exists()
    before.chronova("up")
    wait(before, servers, "ACTIVE")
    with before.sdk() as cloud:
        cloud.compute.stop_server(servers["stopped"])
        cloud.compute.delete_server(servers["deleted"])
    servers["unknown"] = boot(before, "unknown")
    wait(before, {"stopped": servers["stopped"]}, "SHUTOFF")
    wait(before, {"unknown": servers["unknown"]}, "ACTIVE")
    before.until(lambda: servers["deleted"] not in boots(before), "its guest is gone")
    before.chronova("down")
    moved_on(before, servers["moved"])
    there = boots(before)
    subprocess.run(["cp", "-a", str(before.data / "snapshots"), str(copy)], check=True)

    said = follow_the_recipe(before, copy, folder)
    after = Site(folder, before.environment())
    try:
        assert servers["unknown"] in said
        new_passwords(before, after)
        known(after, servers)
        assert boots(after) == there, "no guest is gone, or was started or made again"
        decided(after, servers)
        if not after.settings.on_kafka:
            without_snapshots(after)
    finally:
        after.chronova("reset")


def follow_the_recipe(before: Site, copy: Path, folder: Path) -> str:
    """Run the lines of the document; what they print."""
    document = Path(__file__).parents[2] / "docs" / "operations.md"
    found = RECIPE.search(document.read_text())
    assert found is not None
    tools = before.data.parent / "bin"
    tools.mkdir()
    chronova = tools / "chronova"
    chronova.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chronova "$@"\n')
    chronova.chmod(0o755)
    environment = {**before.environment(), "OLD": str(before.data), "COPY": str(copy)}
    environment |= {"NEW": str(folder), "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": "200"}
    lines = found[1].splitlines()
    assert "unknown-guests" in lines.pop()
    script = "\n".join(lines)
    command = ["sh", "-eu", "-c", script]
    done = subprocess.run(
        command, check=True, env=environment, timeout=300, stdout=subprocess.PIPE, text=True
    )
    assert f"First: chronova --data '{folder}' admin reset-password" in done.stdout
    after = Site(folder, environment)
    after.until(lambda: len(unknown(after)) == 2, "both unknown guests are reported")
    return after.chronova("host", "unknown-guests").out


def new_passwords(before: Site, after: Site) -> None:
    """The users of clouds.yaml are let in by new ones; the broker's is another too."""
    for cloud in ("chronova", "demo"):
        with after.sdk(cloud) as client:
            assert client.image.find_image("demo") is not None
    old, new = before.passwords, after.passwords
    assert new.admin != old.admin and new.demo != old.demo
    if before.settings.on_kafka and before.settings.log_options:
        assert after.settings.log_options.keys() == before.settings.log_options.keys()
        assert after.settings.log_options != before.settings.log_options


def known(after: Site, servers: dict[str, str]) -> None:
    """What the restored log comes to know from its hosts."""
    wait(after, {name: servers[name] for name in ("kept", "building")}, "ACTIVE")
    after.until(lambda: show(after, servers["stopped"])["status"] == "SHUTOFF", "it is seen as off")
    gone = servers["deleted"]
    after.until(lambda: show(after, gone)["power_state"] == PowerState.NOSTATE, "it has no guest")
    found = {guest["server_id"] for guest in unknown(after)}
    assert found == {servers["unknown"], servers["moved"]}


def decided(after: Site, servers: dict[str, str]) -> None:
    """What the operator does about what is not as it was."""
    host = unknown(after)[0]["host"]
    there = boots(after)
    wrong = after.chronova("host", "unknown-guests", "adopt", host, servers["unknown"], code=1)
    assert "no server" in wrong.error
    after.chronova("host", "unknown-guests", "remove", host, servers["unknown"], "--yes")
    after.chronova("host", "unknown-guests", "adopt", host, servers["moved"])
    after.until(lambda: unknown(after) == [], "nothing is unknown any more")
    after.until(lambda: servers["unknown"] not in boots(after), "it was removed")
    wait(after, {"moved": servers["moved"]}, "ACTIVE")
    with after.sdk() as cloud:
        gone = cloud.compute.get_server(servers["deleted"])
        cloud.compute.delete_server(gone)
        cloud.compute.wait_for_delete(gone, interval=0.1, wait=60)
        cloud.compute.start_server(servers["stopped"])
    wait(after, {"stopped": servers["stopped"]}, "ACTIVE")
    there = {id: count for id, count in there.items() if id != servers["unknown"]}
    there[servers["stopped"]] += 1
    assert boots(after) == there
    verified(after)


def without_snapshots(after: Site) -> None:
    """All is as it was."""
    after.chronova("down")
    shutil.rmtree(after.data / "snapshots")
    there = boots(after)
    after.chronova("up")
    verified(after)
    assert (boots(after), unknown(after)) == (there, [])


def verified(after: Site) -> None:
    assert after.chronova("projection", "verify", "--json").json["equal"]
    after.chronova("log", "verify")


def boot(site: Site, name: str) -> str:
    with site.sdk() as cloud:
        made = cloud.compute.create_server(
            name=name, image_id=site.image, flavor_id="1", networks="none"
        )
        return str(made.id)


def show(site: Site, id: str) -> dict[str, Any]:
    with site.sdk() as cloud:
        found = cloud.compute.get_server(id)
        return {"status": found.status, "power_state": found.power_state}


def _is(site: Site, id: str, status: str) -> bool:
    return bool(show(site, id)["status"] == status)


def wait(site: Site, servers: dict[str, str], status: str) -> None:
    for name, id in servers.items():
        site.until(partial(_is, site, id, status), f"{name} is {status}")


def unknown(site: Site) -> list[dict[str, Any]]:
    return list(site.chronova("host", "unknown-guests", "--json").json)


def boots(site: Site) -> dict[str, int]:
    """How often each guest that is on a host was started, by server id."""
    found: dict[str, int] = {}
    for journal in (site.data / "instances").glob(f"*/{JOURNAL}"):
        for line in journal.read_bytes().splitlines():
            entry = json.loads(line)
            if guest := entry.get("guest"):
                found[guest["server_id"]] = guest.get("boots", 0)
            elif absent := entry.get("absent"):
                found.pop(absent, None)
    return found


def moved_on(site: Site, id: str) -> None:
    """The host has the guest from a placement that the copy does not know."""
    (journal,) = (site.data / "instances").glob(f"*/{JOURNAL}")
    hypervisor = SimulatedHypervisor(journal)
    guest = hypervisor.guests[id]
    guest.generation += 1
    hypervisor.put(guest)
    hypervisor.close()

"""README's first page, line by line, in a shell, as a new user types it."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF
README = Path(__file__).parents[2] / "README.md"


def lines() -> list[str]:
    """What the page tells to type between ``make up`` and ``make down``."""
    block = re.search(r"^    make up .*?\n(.*?)^    make down", README.read_text(), re.M | re.S)
    assert block, "README.md has no walkthrough"
    typed = [line.split("#")[0].strip() for line in block[1].splitlines()]
    return [line for line in typed if line and not line.startswith(". ")]


def settled(site: Site, name: str) -> bool:
    with site.sdk() as cloud:
        server = cloud.compute.find_server(name)
        return server is None or cloud.compute.get_server(server.id).task_state is None


def _named(site: Site, typed: str) -> bool:
    return "hostname vm1" in site.shell(typed).out


def walk(site: Site) -> dict[str, str]:
    """Type all lines; what each of them printed."""
    printed = {}
    for line in lines():
        own = f"{sys.executable} -m chronova --data {site.data}"
        typed = line.replace(".venv/bin/chronova", own)
        printed[line] = site.shell(typed).out
        if line.startswith("openstack console"):  # a real guest has more to say a little later
            site.until(partial(_named, site, typed), "the console", 120)
            printed[line] = site.shell(typed).out
        site.until(lambda: settled(site, "vm1"), f"vm1 has no task after {line}")
    return printed


def check(printed: dict[str, str]) -> None:
    """What every driver's walkthrough shows."""
    assert list(printed) == lines()
    shown = printed["openstack server show vm1"]
    assert re.search(r"\| status +\| ACTIVE ", shown)
    assert re.search(r"\| OS-EXT-STS:power_state +\| Running ", shown)
    listed = re.findall(
        r"\| req-\S+ +\| \S+ +\| (\w+) ", printed["openstack server event list vm1"]
    )
    assert listed == ["reboot", "reboot", "start", "stop", "create"]
    story = printed[".venv/bin/chronova trace vm1"]
    told = ["ServerCreated", "HostSelected", "DomainStarted", "ServerStopped", "ServerStarted"]
    told += ["ServerRebooted", "ServerRebooted", "ServerDeleted", "AllocationReleased"]
    assert re.findall("|".join(dict.fromkeys(told)), story) == told


@pytest.mark.timeout(600)
def test_the_walkthrough(site: Site) -> None:
    printed = walk(site)
    check(printed)
    assert "hostname vm1\n" in printed["openstack console log show vm1"]

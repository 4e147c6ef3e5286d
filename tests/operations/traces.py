"""What happens in each operation, traced on a real site and made comparable.

``make traces`` writes the traces anew (``golden/``) and shows them in docs/flows.md; the test
beside compares them with what a site of today does. Ids, times and names of hosts are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from chronova.client import Client
from chronova.domains import load_projections
from chronova.inspect.story import Step, story
from chronova.inspect.trace import mermaid
from projections.live import engine
from tests.parts.site import Site

GOLDEN = Path(__file__).parent / "golden"
FLOWS = Path(__file__).resolve().parents[2] / "docs" / "flows.md"

OPERATIONS: Mapping[str, tuple[str, str]] = {
    "boot": ("ServerCreated", "A server is created, placed and started."),
    "stop": ("StopRequested", "The guest is asked to shut down, and powered off if it does not."),
    "start": ("StartRequested", "A stopped server is started."),
    "reboot": ("RebootRequested", "A soft reboot; it turns hard when the guest does not react."),
    "delete": ("DeletionRequested", "The guest is removed, then its room is given back."),
}
"""By name: the event with which it begins, and a sentence."""

HEAD = """# Flows

What really happens in each operation, as the log tells it: traced on a site with a simulated host
by `make traces`, and compared with the code by a test. `chronova trace SERVER --format mermaid`
draws the same of any server, with ids and times.

A solid arrow is a command and the event that was decided; an open one is work for a host. All
records of an operation carry the id of the request it began with.
"""


def traces(site: Site) -> dict[str, str]:
    """Each operation's diagram, from one server that goes through them all."""
    client = Client(site.settings.url)
    client.login("demo", site.passwords.demo, "demo")
    server = _boot(site, client)
    path = f"/compute/v2.1/servers/{server}"
    for action, status in (
        ({"os-stop": None}, "SHUTOFF"),
        ({"os-start": None}, "ACTIVE"),
        ({"reboot": {"type": "SOFT"}}, "ACTIVE"),
    ):
        client.call("POST", f"{path}/action", action)
        _until_settled(site, client, path, status)
    client.call("DELETE", path)
    found = {}
    for name, steps in zip(OPERATIONS, _requests(site, server), strict=True):
        assert steps[0].type == OPERATIONS[name][0], (name, [step.type for step in steps])
        found[name] = _comparable(mermaid(steps))
    return found


def page(found: Mapping[str, str]) -> str:
    """docs/flows.md."""
    parts = [HEAD]
    for name, (_, sentence) in OPERATIONS.items():
        parts.append(f"\n## {name.capitalize()}\n\n{sentence}\n\n```mermaid\n{found[name]}```\n")
    return "".join(parts)


def _boot(site: Site, client: Client) -> str:
    image = client.call("GET", "/image/v2/images?name=demo")["images"][0]["id"]
    body = {"name": "traced", "imageRef": image, "flavorRef": "1", "networks": []}
    made = client.call("POST", "/compute/v2.1/servers", {"server": body})
    server = str(made["server"]["id"])
    _until_settled(site, client, f"/compute/v2.1/servers/{server}", "ACTIVE")
    return server


def _until_settled(site: Site, client: Client, path: str, status: str) -> None:
    def settled() -> bool:
        shown = client.call("GET", path)["server"]
        assert shown["status"] != "ERROR", shown
        return shown["status"] == status and shown["OS-EXT-STS:task_state"] is None

    site.until(settled, f"the server is {status}")


def _requests(site: Site, server: str) -> list[list[Step]]:
    """The server's events by request, once the last of them is there."""
    load_projections()
    reading = engine(site.settings.database_url, 1)
    requests: dict[str, list[Step]] = {}

    def complete() -> bool:
        requests.clear()
        for step in story(reading, server):
            if step.request_id:
                requests.setdefault(step.request_id, []).append(step)
        return any(step.type == "AllocationReleased" for step in [*requests.values()][-1])

    try:
        site.until(complete, "the server's room is given back")
    finally:
        reading.dispose()
    return list(requests.values())


def _comparable(diagram: str) -> str:
    for pattern, plain in (
        (r" \(\+[\d.]+ m?s\)", ""),
        (r"req-[0-9a-f-]{36}", "req-…"),
        (r"(participant Host as Host) .*", r"\1"),
    ):
        diagram = re.sub(pattern, plain, diagram)
    return diagram


def main() -> None:
    """Write traces and document."""
    from tests.parts.site import site

    with site("postgres") as running:
        found = traces(running)
    GOLDEN.mkdir(exist_ok=True)
    for name, diagram in found.items():
        (GOLDEN / f"{name}.mmd").write_text(diagram)
    FLOWS.write_text(page(found))


if __name__ == "__main__":
    main()

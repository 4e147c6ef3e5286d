"""What ``chronova`` shows of a running site, to people and to programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF


@pytest.fixture
def server_id(site: Site) -> Iterator[str]:
    with site.sdk() as cloud:
        made = cloud.compute.create_server(
            name="looked-at", image_id=site.image, flavor_id="1", networks="none"
        )
        site.secrets.add(made.admin_password)
        cloud.compute.wait_for_server(made, interval=0.1, wait=60)
        yield made.id
        cloud.compute.delete_server(made)
        cloud.compute.wait_for_delete(made, interval=0.1, wait=60)


def test_trace(site: Site, server_id: str) -> None:
    steps = site.chronova("trace", "looked-at", "--json").json
    told = [step["type"] for step in steps]
    assert told[0] == "ServerCreated"
    assert told[-3:] == ["ImageFetched", "DisksCreated", "DomainStarted"]
    assert [s["sender"] for s in steps if s["type"] == "AllocationClaimed"] == ["Compute"]
    assert len({step["request_id"] for step in steps}) == 1
    diagram = site.chronova("trace", server_id, "--format", "mermaid").out
    assert diagram.startswith("sequenceDiagram\n    participant API as API\n")
    assert re.search(r"^    Compute-\)Host: BuildGuest$", diagram, re.M)
    request = site.chronova("trace", steps[0]["request_id"]).out
    assert request.splitlines()[1] == steps[0]["request_id"]
    wrong = site.chronova("trace", "nobody", code=1).error
    assert wrong == "chronova: no server is called nobody\n"
    wrong = site.chronova("trace", server_id, "--format", "svg", code=2).error
    assert wrong == "chronova: there is no format 'svg': text, mermaid or json\n"


def test_explain(site: Site, server_id: str) -> None:
    explained = site.chronova("explain", "looked-at").out
    host = site.settings.host_name or site.shown("host", "list")[0]["Host Name"]
    assert explained.startswith(f"Attempt 1: placed on {host}\n       1 host\n")
    assert "1 after ComputeFilter" in explained
    (decision,) = site.chronova("explain", server_id, "--json").json
    assert decision["type"] == "AllocationClaimed"
    assert decision["fields"]["evidence"]["seed"] > 0


def test_tap(site: Site, server_id: str) -> None:
    about = ("tap", "--no-follow", "--server", server_id)
    events = [json.loads(line) for line in site.chronova(*about, "--json").out.splitlines()]
    assert {event["subject"] for event in events} >= {f"server/{server_id}"}
    assert all(event["headers"]["ce_specversion"] == "1.0" for event in events)
    (selected,) = site.chronova(*about, "--type", "HostSelected", "--json").out.splitlines()
    assert json.loads(selected)["body"]["server_id"] == server_id
    # What follows within a process is handed over in memory: it is no record.
    spoken = site.chronova(*about, "--kind", "dispatch").out
    assert "compute.BuildGuest" in set(re.findall(r"compute\.\w+", spoken))
    wrong = site.chronova("tap", "--kind", "gossip", code=2).error
    kinds = "commands, reports, events, refusals, dispatch"
    assert wrong == f"chronova: there is no kind 'gossip': {kinds}\n"


def test_status(site: Site) -> None:
    state = site.chronova("status", "--json").json
    running = {process["process"] for process in state["processes"] if process["pid"]}
    assert running >= {"supervisor", "decider", "projector", "agent", "api"}
    assert state["log"]["answers"] and state["api"]["answers"]
    site.until(
        lambda: (
            not any(row["behind"] for row in site.chronova("status", "--json").json["projection"])
        ),
        "the projection is level",
    )
    assert "answers in" in site.chronova("status").out
    services = site.chronova("service", "list", "--json").json
    assert {service["state"] for service in services} == {"up"}


def test_the_projection_is_the_fold_of_the_log(site: Site, server_id: str) -> None:
    verified = site.chronova("projection", "verify", "--json").json
    assert verified["equal"]
    rows = {table["table"]: table["rows"] for table in verified["tables"]}
    assert rows["servers"] >= 1 and rows["images"] >= 1 and rows["history"] > 10
    rebuilt = site.chronova("projection", "rebuild", "--json").json
    assert not any((rebuilt["differing"] or {}).values())
    assert site.shown("server", "show", server_id)["status"] == "ACTIVE"
    builds = site.chronova("projection", "status", "--json").json["builds"]
    assert [b["build"] for b in builds if b["state"] == "live"] == [rebuilt["build"]]
    assert site.chronova("projection", "verify", "--json").json["equal"]
    assert site.chronova("projection", "heal").out == "nothing is set aside\n"
    status = site.chronova("projection", "status", "--json").json
    assert (status["set_aside"], status["waiting"]) == ([], [])


def test_the_log_proves_itself(site: Site, server_id: str) -> None:
    found = site.chronova("log", "verify", "--json").json
    assert found["sound"]
    assert sum(partition["events"] for partition in found["partitions"]) > 20
    assert site.chronova("log", "verify", "--from", "2026-01-01").out.endswith(
        "each follows the one before it\n"
    )
    wrong = site.chronova("log", "verify", "--to", "tomorrow", code=2).error
    assert wrong.startswith("chronova: --to takes a moment like ")


def test_up_again_is_harmless(site: Site) -> None:
    before = site.clouds.read_bytes()
    again = site.chronova("up")
    assert "Chronova is up." in again.out
    assert "Starting" not in again.out
    assert site.clouds.read_bytes() == before
    modes = {path.name: path.stat().st_mode & 0o777 for path in site.data.iterdir()}
    assert modes["clouds.yaml"] == modes["openrc"] == modes["idempotency.key"] == 0o600


def test_what_a_site_cannot_become(site: Site) -> None:
    other = "" if site.settings.on_kafka else "kafka"
    refused = site.chronova("up", "--log", other or "postgres", code=2).error
    assert refused.startswith("chronova: the log of the site in ")
    assert "cannot move to" in refused
    before = site.settings
    refused = site.chronova("up", "--port", "99999", code=2).error
    assert refused == "chronova: settings: port: Expected int <= 65535\n"
    assert site.settings == before

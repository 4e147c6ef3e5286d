"""/healthz and /metrics of a running site: which part is ill, and what all its roles did."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.operations.traces import traces
from tests.parts.site import Site

pytestmark = pytest.mark.service

ANSWER_S = 2.0


def health(site: Site) -> tuple[int, dict[str, Any]]:
    """Status and body of /healthz, within its time (and half a second for this machine's)."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"{site.settings.url}/healthz", timeout=30) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read()
    assert time.monotonic() - began < ANSWER_S + 0.5
    return status, json.loads(body)


def figures(site: Site) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(f"{site.settings.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def pid_of(site: Site, role: str) -> int:
    return int((site.data / "run" / f"{role}.pid").read_text())


def test_all_is_well(site: Site) -> None:
    site.until(lambda: health(site)[0] == 200, "a healthy site")
    parts = health(site)[1]["parts"]
    assert set(parts) == {"log", "database", "projection", "decider", "hosts"}
    assert parts["hosts"]["figures"] == {"up": 1, "down": 0, "disabled": 0}

    def caught_up() -> bool:
        figures = health(site)[1]["parts"]["projection"]["figures"]
        return bool(figures["behind"] == 0)

    site.until(caught_up, "a projection that is not behind")


def test_a_decider_that_stands_still_is_named(site: Site) -> None:
    decider = pid_of(site, "decider")
    os.kill(decider, signal.SIGSTOP)
    try:
        seen: list[dict[str, Any]] = []  # of whichever process answers first

        def ill() -> bool:
            status, body = health(site)
            seen.append(body)
            return status == 503

        site.until(ill, "an ill site")
        assert seen[-1]["ill"] == ["decider"]
        assert seen[-1]["parts"]["decider"]["reason"].startswith("no decider answers for ")
    finally:
        os.kill(decider, signal.SIGCONT)
    site.until(lambda: health(site)[0] == 200, "a site that is well again")


def test_every_role_is_counted(site: Site) -> None:
    traces(site)
    seen = figures(site)
    create = "compute.CreateServers"
    assert seen["chronova_api_commands_total", "accepted", create] >= 1
    assert seen["chronova_decider_decisions_total", "accepted", create] >= 1
    assert seen["chronova_decider_wait_seconds_count", create] >= 1
    assert seen["chronova_decider_partitions",] == 37
    assert seen["chronova_projection_events_total",] >= 10
    work = [value for (name, *_), value in seen.items() if name == "chronova_agent_work_total"]
    assert sum(work) >= 4
    assert seen["chronova_log_write_seconds_count", "commit", "decider", "ok"] >= 1
    routes = [key for key in seen if key[0] == "chronova_api_requests_total"]
    assert any("/compute/v2.1/servers/{server_id}" in key for key in routes)
    text = json.dumps(list(seen))
    assert "traced" not in text and "req-" not in text

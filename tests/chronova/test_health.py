"""What ``up`` believes of a site's health."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from chronova import health, site
from chronova.settings import Settings


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything so; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def test_a_healthy_site() -> None:
    body = b'{"status": "ok", "parts": {"hosts": {"ok": true, "figures": {"up": 3, "down": 1}}}}'
    with answering(200, body) as url:
        seen = health.ask(url)
    assert (seen.status, seen.hosts_up) == ("ok", 3)


def test_an_ill_one_says_why() -> None:
    parts = b'{"log": {"ok": true}, "decider": {"ok": false, "reason": "no"}}'
    with answering(503, b'{"status": "ill", "parts": %b}' % parts) as url:
        seen = health.ask(url)
    assert (seen.status, seen.reasons, seen.hosts_up) == ("ill", "decider: no", 0)


DEGRADED = b'{"ok": true, "degraded": "1 aggregates are set aside"}'


def degraded(hosts: int) -> bytes:
    """The body of a site whose projection has set something aside."""
    up = b'{"ok": true, "figures": {"up": %d}}' % hosts
    return b'{"status": "degraded", "parts": {"projection": %b, "hosts": %b}}' % (DEGRADED, up)


def settings_of(url: str) -> Settings:
    return Settings(port=int(url.rpartition(":")[2]), hosts=1, driver="simulated")


def test_a_degraded_site_is_up_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expected failure: ``SiteError``, for "nothing is ill"."""
    monkeypatch.setattr(site, "READY_S", 1.0)
    said: list[str] = []
    with answering(200, degraded(hosts=1)) as url:
        site._wait_until_healthy(settings_of(url), said.append)
    assert said == ["Degraded: projection: 1 aggregates are set aside"]


def test_a_degraded_site_waits_for_its_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "READY_S", 0.3)
    with (
        answering(200, degraded(hosts=0)) as url,
        pytest.raises(site.SiteError, match="0 of 1 hosts are up"),
    ):
        site._wait_until_healthy(settings_of(url), lambda text: None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_something_else_on_the_port(body: bytes) -> None:
    for status in (200, 500):
        with answering(status, body) as url:
            assert health.ask(url).status == "away"


def test_nobody_there() -> None:
    seen = health.ask("http://127.0.0.1:1")
    assert seen.status == "away"
    assert "does not answer" in seen.reasons

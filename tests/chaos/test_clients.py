"""Clients that are slow, many or gone, and a decider that is behind."""

from __future__ import annotations

import http.client
import json
import resource
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from chronova.connections import open_site_log
from chronova.domains import load_handlers
from chronova.open_files import allow_open_files
from tests.bench.sites import Site
from tests.chaos.check import check
from tests.chaos.load import HANGS_S, Ledger
from tests.chaos.probe import TOPIC, Prober
from tests.chaos.victim import Victim, frozen, wait_until

CONNECTIONS = 500
KEPT_ALIVE = 2600
"""More than the site's two workers take together."""
PROMPTLY_S = 2.0
QUEUED = 10_000
GROWTH_MIB_MAX = 150

HEAD = b"POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BEGINNINGS = {
    "idle": b"",
    "headers": HEAD,
    "body": HEAD + b"Content-Length: 1000\r\n\r\n{",
}
"""How far a slow client gets."""


@pytest.fixture
def address(victim: Victim) -> Iterator[tuple[str, int]]:
    if victim.on_kafka:
        pytest.skip("the way in is the same on both logs")
    yield "127.0.0.1", victim.site.settings.port


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_slow_clients_keep_nobody_out(address: tuple[str, int], beginning: bytes) -> None:
    with ExitStack() as clients:
        for _ in range(CONNECTIONS):
            client = clients.enter_context(socket.create_connection(address, 10))
            client.sendall(beginning)
        for _ in range(10):
            began = time.monotonic()
            with closing(http.client.HTTPConnection(*address, timeout=HANGS_S)) as other:
                other.request("GET", "/identity/v3")
                assert other.getresponse().status == 200
            assert time.monotonic() - began < PROMPTLY_S


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open as many files as the clients of a test need."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files(KEPT_ALIVE + 1000)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
def test_more_kept_alive_connections_than_the_workers_take(address: tuple[str, int]) -> None:
    """Each was answered and is idle: none of them is slow, and nothing else was let in."""
    request = b"GET /identity/v3 HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as clients:
        for _ in range(KEPT_ALIVE):
            client = clients.enter_context(socket.create_connection(address, 10))
            client.sendall(request)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        for path in ("/identity/v3", "/healthz") * 60:
            with closing(http.client.HTTPConnection(*address, timeout=HANGS_S)) as other:
                other.request("GET", path)
                assert other.getresponse().status == 200


def test_a_request_in_pieces_is_answered(address: tuple[str, int]) -> None:
    request = b"GET /identity/v3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address, 10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(request)):
            client.sendall(request[at : at + 1])
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_clients_that_hang_up_in_an_upload(victim: Victim, address: tuple[str, int]) -> None:
    client = victim.site.client()
    wanted = {"name": "torn", "disk_format": "raw", "container_format": "bare"}
    image = client.call("POST", "/image/v2/images", wanted)["id"]
    head = (
        f"PUT /image/v2/images/{image}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {client.token}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 10000000\r\n\r\n"
    )
    for _ in range(40):
        with socket.create_connection(address, 10) as uploader:
            uploader.sendall(head.encode() + b"x" * 100_000)

    def status() -> str:
        return str(client.call("GET", f"/image/v2/images/{image}")["status"])

    wait_until(lambda: status() == "queued", 30, "the image is as before its uploads")
    client.call("DELETE", f"/image/v2/images/{image}")


def test_more_requests_than_can_wait_for_a_stopped_decider(
    victim: Victim, address: tuple[str, int]
) -> None:
    token = victim.site.client().token
    statuses: Counter[int] = Counter()
    wrong: list[str] = []

    def post() -> None:
        body = json.dumps({"flavor": {"name": uuid.uuid4().hex, "ram": 1, "vcpus": 1, "disk": 0}})
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        try:
            with closing(http.client.HTTPConnection(*address, timeout=HANGS_S)) as client:
                client.request("POST", "/compute/v2.1/flavors", body, headers)
                answer = client.getresponse()
                statuses[answer.status] += 1
                if answer.status == 503 and not answer.headers.get("Retry-After"):
                    wrong.append("503 without Retry-After")
        except OSError as error:
            wrong.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=post) for _ in range(150)]
    with frozen([victim.process("decider")]):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGS_S + 10)
    assert wrong == []
    assert statuses == {503: 150}
    load_handlers()
    with closing(open_site_log(victim.site.settings)) as log:
        Prober(log).probe(20)


def test_ten_thousand_queued_commands(victim: Victim, address: tuple[str, int]) -> None:
    load_handlers()
    decider = victim.process("decider")
    before = decider.memory_info().rss
    with closing(open_site_log(victim.site.settings)) as log:
        prober = Prober(log)
        prober.probe(20)
        every = range(log.partitions(TOPIC))
        with frozen([decider]):
            while len(prober.sent) < QUEUED:
                prober.send(every)
        prober.probe(60)
        decided = prober.decided()
        assert {decided.get(id) for id in prober.sent} == {1}
    assert (decider.memory_info().rss - before) / 2**20 < GROWTH_MIB_MAX
    _still_right(victim.site)


def _still_right(site: Site) -> None:
    assert check(site, Ledger()) == []

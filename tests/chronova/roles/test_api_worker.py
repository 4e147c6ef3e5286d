"""Clients that are slow, silent or greedy keep nobody else out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from chronova.roles.arrivals import CONTINUE
from tests.chronova.roles.serving import CROWDS, HOST, POST, Served, serving

CROWD = 200
"""More than the server takes as connections."""


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as made:
        yield made


@pytest.mark.parametrize("kind", CROWDS)
@pytest.mark.parametrize("token", [b"", b"X-Auth-Token: t\r\n"], ids=["nobody", "somebody"])
def test_a_crowd_keeps_nobody_else_out(served: Served, kind: str, token: bytes) -> None:
    sent = CROWDS[kind].replace(HOST, HOST + token)
    with ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(served.open(sent))
        for _ in range(3):
            assert served.ask("GET", "/healthz") == b"xx"
            assert served.ask("GET", "/compute/v2.1/servers", token="other") == b"xx"
            if kind != "decisions":
                assert served.ask("POST", "/compute/v2.1/servers", b"abc", "other") == b"3"


def test_one_caller_has_a_share_and_no_more(served: Served) -> None:
    held = b"POST /compute/held HTTP/1.1\r\nX-Auth-Token: greedy\r\nContent-Length: 0\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(served.open(held.replace(b"\r\n", b"\r\n" + HOST, 1)))
        assert served.ask("POST", "/compute/v2.1/servers", b"abc", "other") == b"3"


@pytest.mark.parametrize("kind", ["downloads", "uploads", "decisions", "searches"])
def test_one_user_has_a_share_whatever_tokens_it_sends(served: Served, kind: str) -> None:
    """Spaces behind a token made another caller of it, and so did another login."""
    with ExitStack() as stack:
        for number in range(CROWD):
            token = b"X-Auth-Token: greedy-%d%b\r\n" % (number % 3, b" " * (number // 3))
            stack.enter_context(served.open(CROWDS[kind].replace(HOST, HOST + token)))
        assert served.ask("GET", "/image/v2/images/2/file", token="other") == b"xx"
        assert served.ask("PUT", "/image/v2/images/2/file", b"abc", "other") == b"3"
        assert served.ask("POST", "/compute/v2.1/servers", b"abc", "other") == b"3"
        assert served.ask("GET", "/compute/v2.1/servers?name=x", token="other") == b"xx"


def test_hosts_fetch_images_whatever_clients_download(served: Served) -> None:
    with ExitStack() as stack:
        for number in range(8):
            token = b"X-Auth-Token: %d\r\n" % number
            stack.enter_context(served.open(CROWDS["downloads"].replace(HOST, HOST + token)))
        assert served.ask("GET", "/image/v2/direct/ab?expires=1") == b"xx"


def test_one_address_has_a_share_of_logins_whatever_tokens_it_sends(served: Served) -> None:
    """A login's token is verified by nobody: with random ones each login was another caller's."""
    held = b"POST /identity/v3/auth/tokens?held=1 HTTP/1.1\r\nContent-Length: 0\r\n" + HOST
    with ExitStack() as stack:
        for number in range(CROWD):
            stack.enter_context(served.open(held + b"X-Auth-Token: %d\r\n\r\n" % number))
        served.answers()
        with served.open(POST + b"Content-Length: 0\r\n\r\n", "127.0.0.2") as other:
            assert other.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_drips_after_its_answer_holds_no_thread(served: Served) -> None:
    """What an application leaves of a body is read away. No token is needed for such a request."""
    sent = b"PUT /image/v2/images/1/file?unread=1 HTTP/1.1\r\nContent-Length: 9999999\r\n"
    ended = threading.Event()

    def drip(clients: list[socket.socket]) -> None:
        while not ended.wait(0.02):
            for client in clients:
                with suppress(OSError):
                    client.send(b"x")

    with ExitStack() as stack:
        addresses = ("127.0.0.2", "127.0.0.3")
        crowd = [served.open(sent + HOST + b"\r\nx", address) for address in addresses]
        for client in crowd:
            stack.enter_context(client)
            assert client.recv(12) == b"HTTP/1.1 200"
        dripping = threading.Thread(target=drip, args=(crowd,))
        dripping.start()
        stack.callback(dripping.join)
        stack.callback(ended.set)
        assert served.ask("PUT", "/image/v2/images/2/file", b"abc") == b"3"


def test_what_is_too_much_is_refused_at_once_and_what_waits_too_long(served: Served) -> None:
    held = b"POST /compute/held HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + b"\r\n"
    with ExitStack() as stack:
        crowd = [stack.enter_context(served.open(held)) for _ in range(30)]
        answers = [client.recv(12) for client in crowd[15:]]
        assert answers == [b"HTTP/1.1 503"] * 15
        served.ask("POST", "/image/release", b"x", "other")


def test_the_whole_answer_comes_to_a_slow_reader(served: Served) -> None:
    sent = CROWDS["readers"].replace(HOST, HOST + b"Connection: close\r\n")
    with served.open(sent) as client:
        received = 0
        while data := client.recv(1 << 16):
            received += len(data)
        assert received > 9_000_000


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (POST + b"Content-Length: x\r\n\r\n", b"400"),
        (b"x" * 70000, b"400"),
        (b"G\x00T / HTTP/1.1\r\n\r\n", b"400"),
    ],
)
def test_what_is_malformed_is_answered_and_closed(
    served: Served, sent: bytes, status: bytes
) -> None:
    with served.open(sent) as client:
        answer = b""
        while data := client.recv(4096):
            answer += data
        assert answer.split(b" ")[1] == status


def test_requests_one_behind_the_other(served: Served) -> None:
    one = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n" + HOST + b"\r\nabc"
    last = b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    with served.open(one + one + last) as client:
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert answer.count(b"200 OK") == 3


def test_a_client_that_expects_it_is_told_to_go_on(served: Served) -> None:
    with served.open(CROWDS["expecting"]) as client:
        assert client.recv(len(CONTINUE)) == CONTINUE
        client.sendall(b"abcde")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_closed_connection_is_not_waited_for_by_the_others(served: Served) -> None:
    """gunicorn waits two seconds in its loop for each client that keeps what was closed."""
    sent = b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(served.open(sent))
        assert served.ask("GET", "/healthz") == b"xx"

"""When a request is here whole, byte by byte."""

from __future__ import annotations

import pytest

from chronova.roles.arrivals import BODY_BYTES_MAX, HEAD_BYTES_MAX, Arrival, Stage
from chronova.roles.lanes import lane_of

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
PUT = b"PUT /image/v2/images/1/file HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
EXPECTING = POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "stage"),
    [
        (b"", Stage.ARRIVING),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", Stage.ARRIVING),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Stage.WHOLE),
        (POST + b"Content-Length: 3\r\n\r\nab", Stage.ARRIVING),
        (POST + b"Content-Length: 3\r\n\r\nabc", Stage.WHOLE),
        (POST + b"content-length:3\r\n\r\nab", Stage.ARRIVING),
        (POST + b"Content-Length: 70000\r\n\r\n" + b"x" * 69999, Stage.ARRIVING),
        (POST + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), Stage.TOO_LARGE),
        (CHUNKED, Stage.ARRIVING),
        (CHUNKED + b"3\r\nabc\r\n", Stage.ARRIVING),
        (CHUNKED + b"3\r\nabc\r\n0\r\n", Stage.ARRIVING),
        (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", Stage.WHOLE),
        (CHUNKED + b"3;a=b\r\nabc\r\n0\r\nTrailer: t\r\n\r\n", Stage.WHOLE),
        (CHUNKED + b"zz\r\n", Stage.MALFORMED),
        (CHUNKED + b"3\r\nabcd\r\n", Stage.MALFORMED),
        (CHUNKED + b"fffffff\r\n", Stage.TOO_LARGE),
        (CHUNKED + b"1\r\na\r\n" * BODY_BYTES_MAX, Stage.TOO_LARGE),
        (EXPECTING, Stage.ARRIVING),
        (EXPECTING + b"abc", Stage.WHOLE),
        (POST + b"Expect: 100-continue\r\n\r\n", Stage.WHOLE),
        (PUT + b"Content-Length: 9000000000\r\n\r\n", Stage.STREAMED),
        (PUT.replace(b"file", b"%66ile") + b"Content-Length: 3\r\n\r\n", Stage.STREAMED),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n", Stage.STREAMED),
        (b"x" * (HEAD_BYTES_MAX + 1), Stage.MALFORMED),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", Stage.MALFORMED),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", Stage.MALFORMED),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Stage.MALFORMED),
        (b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", Stage.WHOLE),
        # gunicorn refuses these by their heads.
        (POST + b"Content-Length: three\r\n\r\n", Stage.WHOLE),
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", Stage.WHOLE),
        (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", Stage.WHOLE),
    ],
)
def test_how_far_a_request_has_come(sent: bytes, stage: Stage) -> None:
    at_once = Arrival()
    at_once.feed(sent)
    assert at_once.stage is stage
    if len(sent) < 1000:
        dripping = Arrival()
        for byte in sent:
            dripping.feed(bytes([byte]))
        assert dripping.stage is stage


def test_what_follows_a_request_is_kept_apart() -> None:
    arrival = Arrival(CHUNKED + b"3\r\nabc\r\n0\r\n\r\nGET / HT")
    assert arrival.taken() == (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", b"GET / HT")


def test_the_client_is_told_to_go_on_once_and_by_the_loop() -> None:
    arrival = Arrival(EXPECTING)
    assert arrival.expects_continue
    arrival.feed(b"abc")
    assert arrival.taken() == (POST + b"Content-Length: 3\r\n\r\nabc", b"")
    assert not Arrival(EXPECTING + b"ab").expects_continue


def test_after_a_body_that_is_too_large_the_connection_ends() -> None:
    request, _ = Arrival(POST + b"Content-Length: 900000\r\n\r\nabc").taken()
    assert request == POST + b"Content-Length: 900000\r\nConnection: close\r\n\r\nabc"


@pytest.mark.parametrize(
    ("line", "lane"),
    [
        ("GET /healthz", "health"),
        ("GET /metrics", "health"),
        ("POST /identity/v3/auth/tokens", "login"),
        ("POST /identity/v3/auth/tokens/?nocatalog", "login"),
        ("GET /identity/v3/auth/tokens", "read"),
        ("POST /identity/v3/users/1/password", "login"),
        ("POST //identity/v3/users/%31/p%61ssword/", "login"),
        ("POST /identity/v3/users", "login"),
        ("POST /identity/v3/users/", "login"),
        ("PATCH /identity/v3/users/1", "login"),
        ("POST /identity/v3/users/1/application_credentials", "login"),
        ("DELETE /identity/v3/users/1", "write"),
        ("DELETE /identity/v3/users/1/application_credentials/2", "write"),
        ("POST /identity/v3/projects", "write"),
        ("GET /compute/v2.1/servers/detail?limit=5", "read"),
        ("GET /compute/v2.1/servers?name=^a", "search"),
        ("GET /compute/v2.1/servers?limit=1&n%61me=^a", "search"),
        ("POST /compute/v2.1/servers", "write"),
        ("DELETE /image/v2/images/1", "write"),
        ("PUT /image/v2/images/1/file", "upload"),
        ("PUT http://x/image/v2/images/1/st%61ge", "upload"),
        ("GET /image/v2/images/1/file", "download"),
        ("GET /image/v2/direct/ab?expires=1", "direct"),
        ("HEAD //image/v2/d%69rect/ab/", "direct"),
        ("CONNECT x:1", "write"),
        ("nonsense", "read"),
    ],
)
def test_the_lane_of_a_request(line: str, lane: str) -> None:
    assert lane_of(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == lane

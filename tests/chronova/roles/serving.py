"""A worker's server as its clients meet it, and the kinds of clients that come in crowds."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LIMIT_S = 20
HOST = b"Host: x\r\n"
GET = b"GET /compute/v2.1/servers HTTP/1.1\r\n" + HOST
POST = b"POST /identity/v3/auth/tokens HTTP/1.1\r\n" + HOST
CROWDS = {
    "idle": b"",
    "kept alive": GET + b"\r\n",
    "answered": GET + b"Connection: close\r\n\r\n",
    "malformed": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "heads": b"GET / HTTP/1.1\r\nHost",
    "bodies": POST + b"Content-Length: 110000\r\n\r\n" + b"x" * 65600,
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "expecting": POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "uploads": b"PUT /image/v2/images/1/file HTTP/1.1\r\nContent-Length: 9999999\r\n"
    + HOST
    + b"\r\n",
    "downloads": b"GET /image/v2/images/1/file?bytes=50000000 HTTP/1.1\r\n" + HOST + b"\r\n",
    "readers": b"GET /compute/v2.1/servers?bytes=9000000 HTTP/1.1\r\n" + HOST + b"\r\n",
    "decisions": b"POST /compute/held HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + b"\r\n",
    "searches": b"GET /compute/held?name=x HTTP/1.1\r\n" + HOST + b"\r\n",
}
"""What each client of a crowd sends, by kind; then it neither sends nor reads nor closes."""


class Served:
    """The server on a port."""

    def __init__(self, port: int) -> None:
        self.port = port

    def open(
        self, sent: bytes, address: str = "127.0.0.1", receive_bytes: int = 0
    ) -> socket.socket:
        """Connect from ``address``; the kernel takes ``receive_bytes``, if any are given, of what
        is not read."""
        client = socket.socket()
        client.settimeout(LIMIT_S)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.bind((address, 0))
        client.connect(("127.0.0.1", self.port))
        client.sendall(sent)
        return client

    def ask(self, method: str, path: str, body: bytes | None = None, token: str = "") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request(method, path, body, {"X-Auth-Token": token} if token else {})
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read()
        finally:
            connection.close()

    def answers(self) -> None:
        """Others are served meanwhile."""
        assert self.ask("GET", "/healthz") == b"xx"
        assert self.ask("GET", "/compute/v2.1/servers", token="other") == b"xx"
        assert self.ask("POST", "/compute/v2.1/servers", b"abc", "other") == b"3"


@contextmanager
def serving(**bounds: int) -> Iterator[Served]:
    """A server with other bounds than ``served`` has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.chronova.roles.served", str(port)]
    command += [f"{name}={number}" for name, number in bounds.items()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Booting worker" in line:
                break
        try:
            yield Served(port)
        finally:
            process.terminate()
            process.stderr.read()

"""Uploads and downloads through the real server: chunks, lost and silent clients, sendfile."""

from __future__ import annotations

import hashlib
import http.client
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from tests.api.image.test_data import DATA, wait_until
from tests.parts.postgres import PostgresServer

FILE_BYTES_MAX = 3 << 20
OCTETS = {"Content-Type": "application/octet-stream"}


class Served:
    """The service on a port."""

    def __init__(self, master: int, port: int, images: Path) -> None:
        self.master = master
        self.port = port
        self.images = images

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            chunked = "Transfer-Encoding" in headers
            headers = {"X-Auth-Token": "anna"} | headers
            connection.request(method, f"/image{path}", body, headers, encode_chunked=chunked)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def create(self) -> str:
        body = orjson.dumps({"disk_format": "raw", "container_format": "bare"})
        _, _, made = self("POST", "/v2/images", body, **{"Content-Type": "application/json"})
        return str(orjson.loads(made)["id"])

    def status(self, image_id: str) -> str:
        return str(orjson.loads(self("GET", f"/v2/images/{image_id}")[2])["status"])

    def begin(self, image_id: str, length_header: str, first: bytes) -> socket.socket:
        """An upload that has begun; the rest is the test's."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        head = (
            f"PUT /image/v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: anna\r\n"
            f"Content-Type: application/octet-stream\r\n{length_header}\r\n\r\n"
        )
        connection.sendall(head.encode() + first)
        return connection

    def temporary(self) -> list[Path]:
        return [*self.images.glob("temporary/*")]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def served(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    arguments = [database.url, str(directory), str(port)]
    command = [sys.executable, "-m", "tests.api.image.served", *arguments]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is None and _answers(port), 30)
            yield Served(process.pid, port, directory / "images")
        finally:
            process.terminate()
            process.wait(20)


def test_chunks_in_and_sendfile_out(served: Served) -> None:
    id = served.create()
    chunks = (DATA[start : start + 100_000] for start in range(0, len(DATA), 100_000))
    headers = OCTETS | {"Transfer-Encoding": "chunked"}
    assert served("PUT", f"/v2/images/{id}/file", chunks, **headers)[0] == 204
    status, headers_, data = served("GET", f"/v2/images/{id}/file")
    assert (status, headers_["Content-Length"]) == (200, str(len(DATA)))
    assert hashlib.sha512(data).digest() == hashlib.sha512(DATA).digest()
    status, headers_, data = served("GET", f"/v2/images/{id}/file", Range="bytes=1000-1999")
    assert (status, data) == (206, DATA[1000:2000])
    assert headers_["Content-Range"] == f"bytes 1000-1999/{len(DATA)}"


def test_more_than_the_limit_in_chunks(served: Served) -> None:
    id = served.create()
    headers = OCTETS | {"Transfer-Encoding": "chunked"}
    status, _, body = served("PUT", f"/v2/images/{id}/file", iter([DATA] * 5), **headers)
    assert status == 413 and b"maximum size" in body
    assert (served.status(id), served.temporary()) == ("queued", [])


@pytest.fixture
def full(served: Served) -> Iterator[Served]:
    """No file of the server grows beyond a bound: what a full disk is to an upload (EFBIG)."""
    (worker,) = psutil.Process(served.master).children()
    before = worker.rlimit(psutil.RLIMIT_FSIZE)
    worker.rlimit(psutil.RLIMIT_FSIZE, (FILE_BYTES_MAX, before[1]))
    yield served
    worker.rlimit(psutil.RLIMIT_FSIZE, before)


def test_a_full_store(full: Served) -> None:
    id = full.create()
    status, _, body = full("PUT", f"/v2/images/{id}/file", b"x" * (FILE_BYTES_MAX + 1), **OCTETS)
    assert status == 413 and b"Image storage media is full" in body
    assert (full.status(id), full.temporary()) == ("queued", [])
    assert full("PUT", f"/v2/images/{id}/file", b"x" * FILE_BYTES_MAX, **OCTETS)[0] == 204


@pytest.mark.parametrize(
    ("length_header", "first"),
    [
        ("Content-Length: 1000000", b"x" * 1000),
        ("Transfer-Encoding: chunked", b"3e8\r\n" + b"x" * 1000 + b"\r\n1000\r\nabc"),
        ("Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
    ],
)
def test_a_lost_client(served: Served, length_header: str, first: bytes) -> None:
    id = served.create()
    connection = served.begin(id, length_header, first)
    wait_until(lambda: served.status(id) == "saving" and len(served.temporary()) == 1)
    connection.close()
    wait_until(lambda: served.status(id) == "queued")
    assert served.temporary() == []


def test_a_silent_client(served: Served) -> None:
    id = served.create()
    with served.begin(id, "Content-Length: 1000000", b"x" * 1000) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert (served.status(id), served.temporary()) == ("queued", [])


@pytest.mark.parametrize(
    ("length_header", "first"),
    [
        ("Content-Length: 1000000", b"x"),
        ("Transfer-Encoding: chunked", b"fffff\r\nx"),
        ("Transfer-Encoding: chunked", b"3;extension="),
    ],
)
def test_a_client_that_drips(served: Served, length_header: str, first: bytes) -> None:
    """Each byte began the time-out again, and the rate was looked at only after 256 KiB."""
    id = served.create()
    with served.begin(id, length_header, first) as connection:
        wait_until(lambda: dripped(connection))
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    wait_until(lambda: served.status(id) == "queued")
    assert served.temporary() == []


def dripped(connection: socket.socket) -> bool:
    """Send one more byte; whether an answer comes before the next one is due."""
    connection.send(b"x")
    return bool(select.select([connection], [], [], 0.02)[0])


@pytest.mark.parametrize("body", [b"zzz\r\n", b"3\r\nabcdef\r\n", b"-1\r\n", b"\r\n\r\n"])
def test_malformed_chunks(served: Served, body: bytes) -> None:
    id = served.create()
    with served.begin(id, "Transfer-Encoding: chunked", body) as connection:
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert (served.status(id), served.temporary()) == ("queued", [])

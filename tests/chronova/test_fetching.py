from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chronova.fetching import LinkFetch
from handlers.compute.drivers.contract import ImageUnavailable

DATA = b"x" * (3 << 20)


class CalledOff(Exception):
    pass


class Transfer:
    """Notes how far it is; ``end`` calls it off."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.off = False
        self._callbacks: list[Callable[[], None]] = []
        self.begun = threading.Event()

    def moved(self, bytes_done: int, bytes_total: int) -> None:
        self.seen.append((bytes_done, bytes_total))
        if self.off:
            raise CalledOff

    def on_called_off(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)
        self.begun.set()

    def end(self) -> None:
        self.off = True
        for callback in self._callbacks:
            callback()


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = urlsplit(self.path).path.rpartition("/")[2]
        if name == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[: len(DATA) // (2 if name == "short" else 1)])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_the_data_and_how_far_it_is(store: str, tmp_path: Path) -> None:
    transfer = Transfer()
    LinkFetch(store, b"key")("whole", tmp_path / "image", transfer)
    assert (tmp_path / "image").read_bytes() == DATA
    assert transfer.seen[-1] == (len(DATA), len(DATA))


@pytest.mark.parametrize("name", ["missing", "short"])
def test_what_cannot_be_fetched(store: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageUnavailable):
        LinkFetch(store, b"key")(name, tmp_path / "image", Transfer())


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailable):
        LinkFetch("http://127.0.0.1:1", b"key")("any", tmp_path / "image", Transfer())


def test_a_fetch_that_waits_for_a_byte_is_called_off_at_once(tmp_path: Path) -> None:
    """The store accepts the connection and says nothing; the fetch would wait for 30 s."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transfer = Transfer()
        raised: list[BaseException] = []

        def fetch() -> None:
            try:
                url = f"http://127.0.0.1:{silent.getsockname()[1]}"
                LinkFetch(url, b"key")("any", tmp_path / "image", transfer)
            except CalledOff as off:
                raised.append(off)

        thread = threading.Thread(target=fetch, daemon=True)
        thread.start()
        assert transfer.begun.wait(20)
        transfer.end()
        thread.join(10)
        assert not thread.is_alive()
        assert len(raised) == 1

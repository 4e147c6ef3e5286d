"""Clients that are slow on purpose, hundreds at once, and how long others wait meanwhile."""

from __future__ import annotations

import http.client
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

COUNT = 200
DRIP_S = 0.5
LOGIN = "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SERVER = "POST /compute/v2.1/servers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
RECEIVE_BYTES = 4096


def beginnings(token: str, image: str) -> dict[str, bytes]:
    """How far each kind of slow client comes at once, by name; the rest drips."""
    known = f"X-Auth-Token: {token}\r\n"
    put = f"PUT /image/v2/images/{image}/file HTTP/1.1\r\nHost: x\r\n"
    put_type = "Content-Type: application/octet-stream\r\n"
    get = f"GET /image/v2/images/{image}/file HTTP/1.1\r\nHost: x\r\n"
    length = "Content-Length: 100000\r\n"
    texts = {
        "head": LOGIN + "X-Slow: ",
        "head with a token": SERVER + known + "X-Slow: ",
        "body": LOGIN + length + "\r\n{",
        "body with a token": SERVER + known + length + "\r\n{",
        "long body": LOGIN + length + "\r\n{" + " " * 70_000,
        "chunks": LOGIN + "Transfer-Encoding: chunked\r\n\r\n5000\r\n{",
        "expecting body": LOGIN + length + "Expect: 100-continue\r\n\r\n",
        "upload": put + put_type + length + "\r\n",
        "upload with a token": put + put_type + known + length + "\r\n",
        "chunked upload with a token": put
        + put_type
        + known
        + "Transfer-Encoding: chunked\r\n\r\nf000\r\n",
        "download": get + "\r\n",
        "download with a token": get + known + "\r\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def _close(clients: list[socket.socket]) -> None:
    for client in clients:
        client.close()


@contextmanager
def slow_clients(address: tuple[str, int], requests: list[bytes]) -> Iterator[None]:
    """One client for each beginning: it sends a byte now and then, and reads next to nothing. One
    that is closed comes again."""
    ended = threading.Event()
    with ExitStack() as clients:
        connected = [_connected(address, request) for request in requests]
        dripping = threading.Thread(target=_drip, args=(address, connected, requests, ended))
        clients.callback(_close, connected)
        clients.callback(dripping.join, 30)
        clients.callback(ended.set)
        dripping.start()
        yield


def _connected(address: tuple[str, int], request: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    client.settimeout(10)
    client.connect(address)
    client.sendall(request)
    client.setblocking(False)
    return client


def _drip(
    address: tuple[str, int],
    clients: list[socket.socket],
    requests: list[bytes],
    ended: threading.Event,
) -> None:
    while not ended.wait(DRIP_S):
        with selectors.DefaultSelector() as selector:
            for number, client in enumerate(clients):
                selector.register(client, selectors.EVENT_READ, number)
            readable = {key.data for key, _ in selector.select(0)}
        for number, client in enumerate(clients):
            try:
                gone = number in readable and not client.recv(1)
                if not gone:
                    client.send(b" ")
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone and not ended.is_set():
                client.close()
                clients[number] = _connected(address, requests[number])


def timed(
    address: tuple[str, int],
    path: str,
    token: str,
    count: int,
    pause_s: float = 0.005,
    statuses: tuple[int, ...] = (200,),
) -> list[float]:
    """Seconds that each of ``count`` requests took, sorted; each is answered with one of
    ``statuses``."""
    found = []
    pause = threading.Event()
    with closing(http.client.HTTPConnection(*address, timeout=30)) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.request("GET", path, headers={"X-Auth-Token": token})
            answer = client.getresponse()
            answer.read()
            found.append(time.perf_counter() - began)
            assert answer.status in statuses, (path, answer.status)
            pause.wait(pause_s)
    return sorted(found)


def percentile(sorted_s: list[float], part: float) -> float:
    """What ``part`` of these took at most."""
    return sorted_s[min(len(sorted_s) - 1, int(part * len(sorted_s)))]

"""Where a worker's room runs short, those make it who hold most of it, and nobody else notices."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from selectors import DefaultSelector
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from chronova.roles.api_worker import Worker
from chronova.roles.crowd import State
from tests.chronova.roles.serving import CROWDS, GET, HOST, POST, Served, serving

CROWD = 200
OTHER = "127.0.0.2"
MIB = 1 << 20
WRITE = b"POST /compute/v2.1/servers HTTP/1.1\r\n" + HOST
BODY = 70_000
RECEIVE_BYTES = 4096
ANSWER = 8 * MIB
"""The kernel takes no more than 4 MiB of it."""
READ = b"GET /compute/v2.1/servers?bytes=%d HTTP/1.1\r\n" % ANSWER + HOST + b"\r\n"


def opened(stack: ExitStack, served: Served, sent: bytes, address: str) -> socket.socket:
    return stack.enter_context(served.open(sent, address))


def answered(client: socket.socket, sent: bytes) -> bool:
    """Whether the connection takes the rest of a request and answers it."""
    try:
        client.sendall(sent)
        return client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    except ConnectionError:
        return False


@pytest.mark.parametrize("kind", ["idle", "kept alive", "answered", "malformed", "bodies"])
def test_a_crowd_closes_its_own_connections_and_no_others(kind: str) -> None:
    with serving() as served, ExitStack() as stack:
        kept = opened(stack, served, GET + b"\r\n", OTHER)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200 OK")
        begun = opened(stack, served, GET, OTHER)
        for _ in range(CROWD):
            opened(stack, served, CROWDS[kind], "127.0.0.1")
        served.answers()
        assert answered(begun, b"\r\n")
        assert answered(kept, GET + b"\r\n")


def test_who_has_no_file_left_for_a_connection_closes_one_of_its_own() -> None:
    """As many connections as there are files ended the worker, and all of them with it."""
    with serving(worker_connections=1000, open_files=64) as served, ExitStack() as stack:
        begun = opened(stack, served, GET, OTHER)
        for _ in range(CROWD):
            opened(stack, served, CROWDS["idle"], "127.0.0.1")
        served.answers()
        assert answered(begun, b"\r\n")


@pytest.mark.parametrize("address", ["127.0.0.1", OTHER])
def test_unfinished_bodies_are_refused_before_what_just_came(address: str) -> None:
    """The one that sent a byte too many was refused: any other client, once all was held."""
    with serving(held_bytes_max=MIB) as served, ExitStack() as stack:
        crowd = []
        for _ in range(30):
            sent = CROWDS["bodies"]
            crowd.append(opened(stack, served, sent, "127.0.0.1"))
            served.answers()
        for _ in range(5):
            head = WRITE + b"Content-Length: %d\r\n\r\n" % BODY
            client = opened(stack, served, head + bytes(BODY - 1), address)
            served.answers()
            assert answered(client, b"x")
        assert crowd[0].recv(4096).startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in crowd[1].recv(4096)


def test_bodies_that_wait_for_threads_have_a_share_and_leave_the_rest() -> None:
    """What arrives is bounded by what is left: bodies that are here whole held all of it."""
    held = b"POST /compute/held HTTP/1.1\r\nContent-Length: 60000\r\n" + HOST + b"\r\n"
    with serving(held_bytes_max=600_000, waits_s=60) as served, ExitStack() as stack:
        crowd = [opened(stack, served, held + bytes(60_000), "127.0.0.1") for _ in range(8)]
        assert [client.recv(12) for client in crowd[4:]] == [b"HTTP/1.1 503"] * 4
        begun = opened(stack, served, POST + b"Content-Length: 60000\r\n\r\n", OTHER)
        assert answered(begun, bytes(60_000))
        assert served.ask("POST", "/compute/v2.1/servers", b"abc", "other") == b"3"


def test_answers_that_nobody_reads_are_bounded_together() -> None:
    with serving(unsent_bytes_max=3 * ANSWER) as served, ExitStack() as stack:
        clients = []
        for number in range(20):
            address = "127.0.0.1" if number else OTHER
            client = stack.enter_context(served.open(READ, address, RECEIVE_BYTES))
            assert client.recv(12) == b"HTTP/1.1 200"
            clients.append(client)
        served.answers()
        reader, *crowd = (received(client) > ANSWER for client in clients)
        assert reader
        assert not any(crowd[:10])
        assert 1 <= sum(crowd) <= 6


def received(client: socket.socket) -> int:
    """How many bytes of one answer come; a connection that is reset ends them."""
    count = 0
    try:
        while count <= ANSWER and (data := client.recv(1 << 16)):
            count += len(data)
    except ConnectionError:
        pass
    return count


def test_work_is_shared_among_addresses_where_it_fills_the_connections() -> None:
    """Lanes are bounded each: together they held every connection, and nothing was accepted."""
    kinds = {
        "write": b"POST /compute/held HTTP/1.1\r\nContent-Length: 0\r\n",
        "search": b"GET /compute/held?name=x HTTP/1.1\r\n",
        "read": b"GET /compute/held HTTP/1.1\r\n",
    }
    with serving(worker_connections=50, waiting_max=40, waits_s=60) as served, ExitStack() as stack:
        for sent in kinds.values():
            for _ in range(25):
                opened(stack, served, sent + HOST + b"\r\n", "127.0.0.1")
        assert served.ask("GET", "/healthz") == b"xx"
        login = opened(stack, served, POST + b"Content-Length: 0\r\n\r\n", OTHER)
        assert login.recv(4096).startswith(b"HTTP/1.1 200 OK")


class Turns:
    """A worker whose loop the test turns."""

    def __init__(self, worker: Any, listener: socket.socket) -> None:
        self.worker = worker
        self._listener = listener

    def keep(self, conn: Any) -> None:
        """The connection has been answered and is kept alive."""
        self.worker._forget(conn)
        conn.rest = b""
        conn.parser = SimpleNamespace(unreader=SimpleNamespace(take_buffered=bytes))
        self.worker._keep(conn)

    def accepted(self, sent: bytes) -> socket.socket:
        client = socket.create_connection(self._listener.getsockname())
        self.worker.accept(self._listener)
        client.sendall(sent)
        return client


@pytest.fixture
def turns() -> Iterator[Turns]:
    config = Config()
    config.set("worker_connections", 5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker: Any = Worker(0, os.getppid(), [listener], None, 60, config, Logger(config))
        listener.setblocking(False)
        worker.tpool = worker.get_thread_pool()
        worker.method_queue.init()
        worker.poller = DefaultSelector()
        yield Turns(worker, listener)
        for conn in list(worker._crowd._states):
            worker._close(conn)
        worker.tpool.shutdown()
        worker.poller.close()
        worker.method_queue.close()
        worker.tmp.close()


def test_a_kept_alive_connection_whose_next_request_has_come_is_not_closed(turns: Turns) -> None:
    clients = [turns.accepted(b"") for _ in range(4)]
    worker = turns.worker
    kept, oldest, *others = worker._arriving
    turns.keep(kept)
    clients[0].sendall(b"GET")
    clients.append(turns.accepted(b""))
    assert worker._crowd.state_of(kept) is State.ARRIVING
    assert worker._crowd.state_of(oldest) is None
    assert all(worker._crowd.state_of(other) is State.ARRIVING for other in others)
    assert worker.nr_conns == 4
    for client in clients:
        client.close()


def test_kept_alive_connections_end_with_their_time(turns: Turns) -> None:
    clients = [turns.accepted(b"") for _ in range(2)]
    first, second = turns.worker._arriving
    for conn in (first, second):
        turns.keep(conn)
    first.timeout = 0.0
    turns.worker.murder_keepalived()
    assert list(turns.worker.keepalived_conns) == [second]
    assert clients[0].recv(1) == b""
    turns.worker.murder_keepalived(force=True)
    assert clients[1].recv(1) == b""
    assert turns.worker.nr_conns == 0
    for client in clients:
        client.close()


def test_what_is_closed_in_a_turn_is_not_gone_on_with_in_the_same_one(turns: Turns) -> None:
    """Both were ready: one connection was counted twice as closed."""
    clients = [turns.accepted(b"GET") for _ in range(4)]
    ready = turns.worker.poller.select(0)
    assert len(ready) == 4
    clients.append(turns.accepted(b""))
    assert turns.worker.nr_conns == 4
    for key, _ in ready:
        key.data(key.fileobj)
    assert turns.worker.nr_conns == 4
    for client in clients:
        client.close()

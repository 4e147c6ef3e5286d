"""gunicorn's threaded worker, with some things mended.

A request gets a thread only once it is here whole: headers, and a body of up to ``BODY_BYTES``
(a larger one is read as it comes). Until then its bytes stay in the kernel's buffer and the loop
looks at them without taking them. gunicorn's own worker gives the thread to the connection, so
that as many slow or idle clients as there are threads kept everyone else out, for good. A thread
waits ``STALLS_S`` at most for a client that stalls in the middle of a large body or does not
read its answer. Bounds: ``worker_connections`` of each worker, and then the backlog.

A request that has waited ``WAITS_S`` for a thread is answered 503: its turn would come after its
client has gone, while those behind it wait too.

Where the master was killed, the port is given free at once: else kept-alive clients would keep it,
and the next master out of it, for as long as a graceful stop may take.
"""

from __future__ import annotations

import re
import select
import selectors
import socket
import struct
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_BYTES = 64 * 1024
"""More than gunicorn takes as headers: what is longer is its to refuse."""
BODY_BYTES = 64 * 1024
ARRIVES_S = 20.0
"""From the first look at a connection until its request has to be here."""
STALLS_S = 15.0
WAITS_S = 5.0
STOP_LINGERS_S = 2.0
"""A stopping worker waits so long for requests that have not arrived."""

BUSY = b"""{"error": {"code": 503, "message": "Too many requests are under way."}}"""
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
) % (len(BUSY), BUSY)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n")
_UNTOLD = re.compile(rb"\r\n(transfer-encoding|expect):")
_TIMEVAL = struct.pack("ll", int(STALLS_S), 0)


def arrived(client: socket.socket) -> bool:
    """Whether a request is here whole, or nothing more is to be waited for."""
    try:
        seen = client.recv(HEAD_BYTES + BODY_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    end = seen.find(b"\r\n\r\n") + 4
    if not seen or (end < 4 and len(seen) >= HEAD_BYTES):
        return True
    if end < 4:
        return False
    head = seen[:end].lower()
    length = _LENGTH.search(head)
    if length is None or _UNTOLD.search(head):
        return True
    wanted = int(length[1])
    return wanted > BODY_BYTES or len(seen) >= end + wanted


def _cork(client: socket.socket, corked: bool) -> None:
    with suppress(OSError):  # it has gone, or is no TCP
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)


class Worker(ThreadWorker):  # type: ignore[misc]
    """See the module. The loop's thread alone touches ``_arriving``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[int, tuple[TConn, float]] = {}
        self._epoll: select.epoll | None = None

    def init_process(self) -> None:
        """Called in the worker's process, and runs until its end."""
        self._epoll = select.epoll()
        super().init_process()

    def run(self) -> None:
        """The loop."""
        assert self._epoll is not None
        self.poller.register(self._epoll.fileno(), selectors.EVENT_READ, self._look)
        super().run()

    def accept(self, listener: Any) -> None:
        """A new connection; it waits for its request."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
        self._await(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Something came on a kept-alive connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await(conn)

    def handle(self, conn: TConn) -> Any:
        """Answer a request; in one of the threads."""
        if time.monotonic() - conn.whole_at <= WAITS_S:
            return super().handle(conn)
        with suppress(OSError):
            conn.sock.setblocking(True)
            conn.sock.recv(HEAD_BYTES + BODY_BYTES)  # or the answer would be lost in a reset
            conn.sock.sendall(_BUSY)
        return False

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request that has been parsed: headers and body leave together. gunicorn writes
        them one after the other, so a client was woken twice for each answer."""
        if any(name == "EXPECT" for name, _ in req.headers):
            return super().handle_request(req, conn)
        _cork(conn.sock, True)
        try:
            return super().handle_request(req, conn)
        finally:
            _cork(conn.sock, False)

    def murder_pending(self) -> None:
        """Close connections whose request did not come in time."""
        now = time.monotonic()
        wait_s = ARRIVES_S if self.alive else min(ARRIVES_S, STOP_LINGERS_S)
        for descriptor, (conn, since) in list(self._arriving.items()):
            if now - since > wait_s:
                self._forget(descriptor)
                self.nr_conns -= 1
                conn.close()

    def is_parent_alive(self) -> bool:
        """Looked at once a second."""
        if super().is_parent_alive():
            return True
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self.alive = False
        return False

    def _await(self, conn: TConn) -> None:
        if arrived(conn.sock):
            self._begin(conn)
            return
        assert self._epoll is not None
        descriptor = conn.sock.fileno()
        self._arriving[descriptor] = (conn, time.monotonic())
        # Edge-triggered: told of each arrival once, though nothing is taken from the buffer. What
        # came since the look above is told now.
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)

    def _look(self, _: Any) -> None:
        assert self._epoll is not None
        for descriptor, events in self._epoll.poll(0):
            conn = self._arriving[descriptor][0]
            ended = events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)
            if ended or arrived(conn.sock):
                self._forget(descriptor)
                self._begin(conn)

    def _begin(self, conn: TConn) -> None:
        conn.data_ready = True
        conn.whole_at = time.monotonic()
        self.enqueue_req(conn)

    def _forget(self, descriptor: int) -> None:
        assert self._epoll is not None
        del self._arriving[descriptor]
        with suppress(OSError):
            self._epoll.unregister(descriptor)

"""gunicorn's threaded worker, with another way to its threads.

The loop takes requests as they arrive (``arrivals``), in any number, and gives a thread only to a
whole one, in the lane of its kind (``lanes``). Answers that a client does not read are sent by
the loop (``answer_socket``). gunicorn's own worker gives the thread to the connection: as many slow
clients as there are threads kept everyone else out. It also waits in its loop for clients to close
their connections; here they linger beside.

Bounds: ``ARRIVES_S`` for a whole request, ``TAKEN_S`` for its answer, ``HELD_BYTES_MAX`` for all
requests, ``worker_connections``; where these run short, what has been arriving longest is closed.

Where the master was killed, the port is given free at once: else kept-alive clients would keep it,
and the next master out of it, for as long as a graceful stop may take.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from chronova.roles.answer_socket import AnswerSocket
from chronova.roles.arrivals import CONTINUE, Arrival, Stage
from chronova.roles.callers import Callers
from chronova.roles.lanes import Lane, Lanes, lane_of
from chronova.roles.refusals import BUSY, MALFORMED

ARRIVES_S = 20.0
"""From a request's first byte until it has to be here."""
TAKEN_S = 60.0
"""From the end of its work until the client has to have read the answer."""
STALLS_S = 15.0
"""How long a thread waits for a client that neither sends nor reads an image's data."""
LINGERS_S = 2.0
STOP_LINGERS_S = 2.0
"""A stopping worker waits so long for requests that have not arrived."""
HELD_BYTES_MAX = 64 << 20
"""Of all requests that arrive, wait or are worked on."""
RECEIVED_BYTES = 64 * 1024
FULL = 0.9
"""From this part of its connections on, a worker closes those that have been arriving longest."""

_TIMEVAL = struct.pack("ll", int(STALLS_S), 0)


def _cork(client: socket.socket, corked: bool) -> None:
    with suppress(OSError):  # it has gone, or is no TCP
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)


class Worker(ThreadWorker):  # type: ignore[misc]
    """See the module. All but ``handle`` and ``handle_request`` runs in the loop's thread."""

    waiting_max = 256
    """Requests that wait for a thread of one lane; beyond it: 503."""
    callers = Callers()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[TConn, Arrival] = {}
        self._deadlines: dict[TConn, float] = {}
        """When a connection is closed that arrives, does not read, or lingers."""
        self._held_bytes = 0

    def get_thread_pool(self) -> Lanes:
        """The threads of all lanes; called once."""
        return Lanes(self.cfg.threads, self.waiting_max)

    # ------------------------------------------------------------- arriving

    def accept(self, listener: Any) -> None:
        """A new connection; it waits for its request."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
        client = AnswerSocket.of(client)
        self._await(TConn(self.cfg, client, address, listener.getsockname()), b"")
        if self.nr_conns > FULL * self.worker_connections and self._arriving:
            self._close(next(iter(self._arriving)))

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Something came on a kept-alive connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await(conn, b"")

    def _await(self, conn: TConn, first: bytes) -> None:
        conn.sock.setblocking(False)
        conn.held_bytes = 0
        self._arriving[conn] = Arrival()
        self._deadlines[conn] = time.monotonic() + ARRIVES_S
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, conn))
        if not first or not self._take(conn, first):
            self._receive(conn, conn.sock)

    def _receive(self, conn: TConn, client: socket.socket) -> None:
        try:
            data = client.recv(RECEIVED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(conn, data)
        else:
            self._close(conn)

    def _take(self, conn: TConn, data: bytes) -> bool:
        """Take what came; whether nothing more is awaited."""
        arrival = self._arriving[conn]
        arrival.feed(data)
        conn.held_bytes += len(data)
        self._held_bytes += len(data)
        if arrival.expects_continue:
            arrival.expects_continue = False
            with suppress(OSError):
                conn.sock.send(CONTINUE, socket.MSG_DONTWAIT)
        if arrival.stage is Stage.ARRIVING and self._held_bytes <= HELD_BYTES_MAX:
            return False
        self._forget(conn)
        if arrival.stage is Stage.ARRIVING:
            self._refuse(conn, BUSY)
        elif arrival.stage is Stage.MALFORMED:
            self._refuse(conn, MALFORMED)
        else:
            self._begin(conn, arrival)
        return True

    # -------------------------------------------------------------- working

    def _begin(self, conn: TConn, arrival: Arrival) -> None:
        conn.request, conn.rest = arrival.taken()
        conn.data_ready = True
        lane = self.tpool[lane_of(arrival.head)]
        address = conn.client[0] if isinstance(conn.client, tuple) else ""
        if lane.add(conn, self.callers.of(arrival.head, address)):
            self._run(lane)
        else:
            self._refuse(conn, BUSY)

    def _run(self, lane: Lane) -> None:
        for conn, caller, future in lane.begin(self.handle):
            answered = partial(self._answered, lane, caller, conn)
            future.add_done_callback(partial(self.method_queue.defer, answered))

    def handle(self, conn: TConn) -> Any:
        """Answer a request; in one of the threads."""
        with suppress(OSError):  # it has gone: gunicorn finds out
            conn.sock.setblocking(True)
        conn.init()
        conn.parser.unreader.unread(conn.request)
        return super().handle(conn)

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

    def _answered(self, lane: Lane, caller: str, conn: TConn, future: Future[Any]) -> None:
        lane.finished(caller)
        self._run(lane)
        self._release(conn)
        keeps = future.exception() is None and bool(future.result())
        if conn.sock.fileno() < 0:
            self._close(conn)
            return
        with suppress(OSError):
            conn.sock.setblocking(False)
        self._send(conn, keeps, conn.sock)

    # ------------------------------------------------------------- answered

    def _send(self, conn: TConn, keeps: bool, client: AnswerSocket) -> None:
        """Send what the client has not read yet; then the connection waits or ends."""
        try:
            done = client.send_unsent()
        except OSError:
            self._close(conn)
            return
        if done:
            self._forget(conn)
            self._keep(conn) if keeps else self._linger(conn)
        elif conn not in self._deadlines:
            self._deadlines[conn] = time.monotonic() + TAKEN_S
            self.poller.register(client, selectors.EVENT_WRITE, partial(self._send, conn, keeps))

    def _keep(self, conn: TConn) -> None:
        rest = conn.rest + conn.parser.unreader.take_buffered()
        if rest:
            self._await(conn, rest)
            return
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_LINGERS_S)
        self.keepalived_conns.append(conn)
        readable = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _refuse(self, conn: TConn, answer: bytes) -> None:
        self._release(conn)
        with suppress(OSError):
            conn.sock.send(answer, socket.MSG_DONTWAIT)
        self._linger(conn)

    def _linger(self, conn: TConn) -> None:
        """Close once the client has: a connection closed with bytes unread is reset, and with it
        the answer."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._deadlines[conn] = time.monotonic() + LINGERS_S
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: TConn, client: socket.socket) -> None:
        with suppress(BlockingIOError):
            try:
                data = client.recv(RECEIVED_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self._close(conn)

    # ---------------------------------------------------------------- ends

    def _forget(self, conn: TConn) -> None:
        """Nothing is awaited from the connection."""
        self._arriving.pop(conn, None)
        if self._deadlines.pop(conn, None) is not None:
            with suppress(KeyError, ValueError):
                self.poller.unregister(conn.sock)

    def _release(self, conn: TConn) -> None:
        self._held_bytes -= conn.held_bytes
        conn.held_bytes = 0
        conn.request = b""

    def _close(self, conn: TConn) -> None:
        self._forget(conn)
        self._release(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close and refuse what took too long; looked at once a second."""
        now = time.monotonic()
        early_s = 0.0 if self.alive else ARRIVES_S - STOP_LINGERS_S
        for conn, deadline in list(self._deadlines.items()):
            if now > deadline - (early_s if conn in self._arriving else 0.0):
                self._close(conn)
        for lane in self.tpool:
            for conn in lane.overdue():
                self._refuse(conn, BUSY)

    def is_parent_alive(self) -> bool:
        """Looked at once a second."""
        if super().is_parent_alive():
            return True
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        self.alive = False
        return False

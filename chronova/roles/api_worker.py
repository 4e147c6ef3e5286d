"""gunicorn's threaded worker, with another way to its threads.

The loop takes requests as they arrive (``arrivals``), in any number, and gives a thread only to a
whole one, in the lane of its kind (``lanes``). Answers that a client does not read are sent by
the loop (``answer_socket``). gunicorn's own worker gives the thread to the connection: as many slow
clients as there are threads kept everyone else out. It also waits in its loop for clients to close
their connections; here they linger beside.

Bounds in time: ``ARRIVES_S`` for a whole request, ``TAKEN_S`` for its answer. Bounds for all
connections together: their number (``worker_connections``), the bytes of requests
(``held_bytes_max``) and of unread answers (``unsent_bytes_max``). Where one of these runs short,
the address that holds most of it loses its oldest (``crowd``); where it is connections, never the
one that just came. Of whole requests an address is refused what is beyond its share of them.

Where the master was killed, the port is given free at once: else kept-alive clients would keep it,
and the next master out of it, for as long as a graceful stop may take.
"""

from __future__ import annotations

import errno
import selectors
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from chronova.roles.answer_socket import AnswerSocket
from chronova.roles.arrivals import CONTINUE, Arrival, Stage
from chronova.roles.callers import Callers
from chronova.roles.crowd import Crowd, State
from chronova.roles.lanes import HEALTH, Lane, Lanes, lane_of
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
RECEIVED_BYTES = 64 * 1024
SMALL_BYTES = 4096
"""Requests up to this size do not count as bytes: their number is bounded."""
FULL = 0.9
"""From this part of its connections on, a worker closes one for each that comes."""
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_TIMEVAL = struct.pack("ll", int(STALLS_S), 0)


def _cork(client: socket.socket, corked: bool) -> None:
    with suppress(OSError):  # it has gone, or is no TCP
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)


def _has_sent(conn: TConn) -> bool:
    """Whether the next request has begun to come: to close the connection would lose it."""
    try:
        return bool(conn.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _held_bytes(conn: TConn) -> int:
    return int(conn.held_bytes)


def _unsent_bytes(conn: TConn) -> int:
    """Of the answer, and of what its client sent meanwhile."""
    return len(conn.sock.unsent) + len(conn.rest)


class Worker(ThreadWorker):  # type: ignore[misc]
    """See the module. All but ``handle`` and ``handle_request`` runs in the loop's thread."""

    waiting_max = 256
    """Requests that wait for a thread of one lane; beyond it: 503."""
    held_bytes_max = 64 << 20
    """Of all requests that arrive, wait or are worked on; the latter two have half of it."""
    unsent_bytes_max = 64 << 20
    """Of all answers that their clients have not read."""
    callers = Callers()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._crowd = Crowd()
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
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            if not self._close_one():
                self.set_accept_enabled(False)  # until the loop's next turn
            return
        self.nr_conns += 1
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            client.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
        client = AnswerSocket.of(client)
        conn = TConn(self.cfg, client, address, listener.getsockname())
        self._await(conn, b"")
        if self.nr_conns > FULL * self.worker_connections:
            self._close_one(but=conn)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Something came on a kept-alive connection."""
        self._forget(conn)
        self._await(conn, b"")

    def _await(self, conn: TConn, first: bytes) -> None:
        conn.sock.setblocking(False)
        conn.held_bytes = 0
        conn.rest = b""
        self._arriving[conn] = Arrival()
        self._deadlines[conn] = time.monotonic() + ARRIVES_S
        self._watch(conn, State.ARRIVING, self._receive)
        if not first or not self._take(conn, first):
            self._receive(conn, conn.sock)

    def _watch(
        self, conn: TConn, state: State, ready: Callable[[TConn, AnswerSocket], None]
    ) -> None:
        """Put the connection into ``state`` and call ``ready`` whenever it can go on. What is ready
        in the same turn as another that closes it is not called any more."""

        def still(client: AnswerSocket) -> None:
            if self._crowd.state_of(conn) is state:
                ready(conn, client)

        self._crowd.move(conn, state)
        writes = state is State.UNREAD
        self.poller.register(
            conn.sock, selectors.EVENT_WRITE if writes else selectors.EVENT_READ, still
        )

    def _receive(self, conn: TConn, client: AnswerSocket) -> None:
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
        self._shed_requests()
        if conn not in self._arriving:
            return True
        if arrival.expects_continue:
            arrival.expects_continue = False
            with suppress(OSError):
                conn.sock.send(CONTINUE, socket.MSG_DONTWAIT)
        if arrival.stage is Stage.ARRIVING:
            return False
        self._forget(conn)
        if arrival.stage is Stage.MALFORMED:
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
        refused = lane.name != HEALTH and self._over_share(conn)
        if refused or not lane.add(conn, self.callers.of(arrival.head, address)):
            self._refuse(conn, BUSY)
            return
        self._crowd.move(conn, State.WORKED_ON)
        self._run(lane)

    def _over_share(self, conn: TConn) -> bool:
        if self._crowd.over_share(conn, FULL * self.worker_connections):
            return True
        large = conn.held_bytes > SMALL_BYTES
        return large and self._crowd.over_share(conn, self.held_bytes_max / 2, _held_bytes)

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
        self._send(keeps, conn, conn.sock)

    # ------------------------------------------------------------- answered

    def _send(self, keeps: bool, conn: TConn, client: AnswerSocket) -> None:
        """Send what the client has not read yet; then the connection waits or ends."""
        try:
            done = client.send_unsent()
        except OSError:
            self._close(conn)
            return
        if done:
            self._forget(conn)
            self._keep(conn) if keeps else self._linger(conn)
        elif self._crowd.state_of(conn) is not State.UNREAD:
            self._deadlines[conn] = time.monotonic() + TAKEN_S
            self._watch(conn, State.UNREAD, partial(self._send, keeps))
            self._shed_answers()

    def _keep(self, conn: TConn) -> None:
        rest = conn.rest + conn.parser.unreader.take_buffered()
        if rest:
            self._await(conn, rest)
            return
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_LINGERS_S)
        self.keepalived_conns.append(conn)
        self._watch(conn, State.KEPT, self.on_client_socket_readable)

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
        self._watch(conn, State.LINGERING, self._drain)

    def _drain(self, conn: TConn, client: AnswerSocket) -> None:
        with suppress(BlockingIOError):
            try:
                data = client.recv(RECEIVED_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self._close(conn)

    # -------------------------------------------------------- room runs short

    def _close_one(self, but: TConn | None = None) -> bool:
        """Close another connection than ``but``; whether there was one."""
        while (conn := self._crowd.first(but=but)) is not None:
            if self._crowd.state_of(conn) is State.KEPT and _has_sent(conn):
                self.on_client_socket_readable(conn, conn.sock)
                continue
            self._close(conn)
            return True
        return False

    def _shed_requests(self) -> None:
        while self._held_bytes > self.held_bytes_max:
            conn = self._crowd.heaviest(_held_bytes, State.ARRIVING)
            if conn is None:
                return
            self._forget(conn)
            self._refuse(conn, BUSY)

    def _shed_answers(self) -> None:
        while self._crowd.total(_unsent_bytes, State.UNREAD) > self.unsent_bytes_max:
            self._close(self._crowd.heaviest(_unsent_bytes, State.UNREAD))

    # ---------------------------------------------------------------- ends

    def _forget(self, conn: TConn) -> None:
        """Nothing is awaited from the connection."""
        self._arriving.pop(conn, None)
        self._deadlines.pop(conn, None)
        state = self._crowd.forget(conn)
        if state is State.KEPT:
            self.keepalived_conns.remove(conn)
        if state not in (None, State.WORKED_ON):
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

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the kept-alive connections whose time is over, or all."""
        now = time.monotonic()
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout <= now):
            self._close(self.keepalived_conns[0])

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

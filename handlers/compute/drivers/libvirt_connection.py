"""The one place that holds a libvirt connection: opened when needed, watched, opened again.

Calls are bounded: opening by a limit, all others by keepalive, which closes a connection whose
libvirtd is silent for 15 s. A lost connection fails the call at hand with HypervisorUnavailable;
the next call opens a new one, and a watcher does so even when no call comes, so that lifecycle
events go on. libvirt's event loop runs in one daemon thread per process. A defect that ends it or
the watcher ends the process: it would hear of no guest any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

import libvirt
import structlog

from events.log.supervised import supervised
from handlers.compute.drivers.contract import DriverError, GuestNotFound, HypervisorUnavailable

OPEN_TIMEOUT_S = 15
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3
RECONNECT_FIRST_S, RECONNECT_MOST_S = 0.2, 5.0

_log = structlog.get_logger(__name__)
_loop_lock = threading.Lock()
_loop_thread: threading.Thread | None = None

_LOST = {
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_AUTH_FAILED,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE,
}
_LOST_FROM = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}


class LibvirtConnection:
    """A connection that comes back. `on_open(connection)` sets up each new one (subscriptions)."""

    def __init__(self, uri: str, on_open: Callable[[Any], None]) -> None:
        self._uri = uri
        self._on_open = on_open
        self._lock = threading.Lock()
        self._connection: Any = None
        self._opening: Future[Any] | None = None
        self._closed = threading.Event()
        self._lost = threading.Event()
        self._watcher: threading.Thread | None = None
        _run_event_loop()

    def get(self) -> Any:
        """The live `virConnect`. Raises HypervisorUnavailable."""
        with self._lock:
            if self._closed.is_set():
                raise HypervisorUnavailable("The driver is closed.")
            if self._connection is not None and self._connection.isAlive():
                return self._connection
            self._connection = None
            connection = self._open()
            self._connection = connection
            return connection

    def watch(self, on_reopened: Callable[[], None]) -> None:
        """Have a connection from now on: reopen a lost one without being asked, and say so."""
        try:
            self.get()
        except HypervisorUnavailable as error:
            _log.warning("libvirt is not there yet", uri=self._uri, error=str(error))
            self._lost.set()
        if self._watcher is None:
            self._watcher = supervised(
                lambda: self._watch(on_reopened), "libvirt-watcher", self._closed.is_set
            )
            self._watcher.start()

    @contextmanager
    def calling(self) -> Iterator[Any]:
        """The connection for some calls; libvirt's errors come out as the contract's."""
        connection = self.get()
        try:
            yield connection
        except libvirt.libvirtError as error:
            raise translated(error, connection) from error

    def close(self) -> None:
        """Close for good."""
        self._closed.set()
        self._lost.set()
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            _quietly_close(connection)
        if self._watcher is not None:
            self._watcher.join(timeout=OPEN_TIMEOUT_S)

    def _open(self) -> Any:
        """Open in a thread of its own, since a stopped libvirtd lets `open` hang for ever."""
        if self._opening is None:
            self._opening = Future()
            threading.Thread(
                target=_open_into, args=(self._opening, self._uri), name="libvirt-open", daemon=True
            ).start()
        if not wait([self._opening], OPEN_TIMEOUT_S).done:
            raise HypervisorUnavailable(
                f"libvirt at {self._uri} did not answer within {OPEN_TIMEOUT_S} s."
            )
        opened, self._opening = self._opening, None
        try:
            connection = opened.result()
        except libvirt.libvirtError as error:
            raise HypervisorUnavailable(
                f"libvirt at {self._uri} does not answer: {error.get_error_message()}."
            ) from error
        try:
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
            connection.registerCloseCallback(self._note_lost, None)
            self._on_open(connection)
        except libvirt.libvirtError as error:
            raise translated(error, connection) from error
        return connection

    def _note_lost(self, _connection: Any, reason: int, _opaque: Any) -> None:
        if not self._closed.is_set():
            _log.warning("libvirt connection lost", uri=self._uri, reason=reason)
        self._lost.set()

    def _watch(self, on_reopened: Callable[[], None]) -> None:
        while True:
            self._lost.wait()
            self._lost.clear()
            pause_s = RECONNECT_FIRST_S
            while not self._closed.wait(pause_s):
                pause_s = min(2 * pause_s, RECONNECT_MOST_S)
                try:
                    self.get()
                    on_reopened()
                    break
                except DriverError as error:
                    _log.info("libvirt not back yet", uri=self._uri, error=str(error))
            if self._closed.is_set():
                return


def translated(error: libvirt.libvirtError, connection: Any) -> DriverError:
    """The contract's error for libvirt's."""
    code, text = error.get_error_code(), error.get_error_message() or str(error)
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return GuestNotFound(f"{text[:1].upper()}{text[1:]}.")
    if code in _LOST or error.get_error_domain() in _LOST_FROM or not connection.isAlive():
        return HypervisorUnavailable(f"The connection to libvirt was lost: {text}.")
    return DriverError(f"libvirt refused: {text}.")


def _open_into(opening: Future[Any], uri: str) -> None:
    try:
        opening.set_result(libvirt.open(uri))
    except BaseException as error:  # noqa: BLE001 - raised by who waits for it
        opening.set_exception(error)


def _quietly_close(connection: Any) -> None:
    try:
        connection.unregisterCloseCallback()
        connection.close()
    except libvirt.libvirtError as error:
        _log.debug("closing a libvirt connection", error=str(error))


def _run_event_loop() -> None:
    """Start libvirt's default event loop, once in this process, before any connection."""
    global _loop_thread
    with _loop_lock:
        if _loop_thread is None:
            libvirt.registerErrorHandler(lambda _context, _error: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _loop_thread = supervised(_loop, "libvirt-events", lambda: False)
            _loop_thread.start()


def _loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()

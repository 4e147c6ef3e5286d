"""libvirt's domain events, for listeners and for those who wait for a guest to change.

libvirt calls on its event thread, where no libvirt call may be made and no time be lost: events
are only queued there. One thread of the driver's own hands them on; a defect there ends the
process, which would hear of no guest any more. The queue is bounded; what does not fit is dropped
with a warning (events are hints, see the contract).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import libvirt
import structlog

from events.log.supervised import supervised
from handlers.compute.drivers.contract import DriverError, LifecycleCallback, LifecycleEvent

QUEUE_MOST = 10_000

_log = structlog.get_logger(__name__)

_PLAIN = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: LifecycleEvent.STARTED,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: LifecycleEvent.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: LifecycleEvent.RESUMED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: LifecycleEvent.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: LifecycleEvent.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: LifecycleEvent.SUSPENDED,
}


class GuestEvents:
    """Receives, queues, hands on. `owns(server_id)` says whether the guest is this driver's."""

    def __init__(self, owns: Callable[[str], bool]) -> None:
        self._owns = owns
        self._callbacks: list[LifecycleCallback] = []
        self._queue: queue.Queue[tuple[str, LifecycleEvent] | None] = queue.Queue(QUEUE_MOST)
        self._changed = threading.Condition()
        self._changes = 0
        self._resets: dict[str, int] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def subscribe(self, connection: Any) -> None:
        """Have a new connection's events come here."""
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None
        )
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._on_reset, None
        )

    def listen(self, callback: LifecycleCallback) -> None:
        """Hand events on to the callback from now on."""
        self._callbacks.append(callback)
        if self._thread is None:
            self._thread = supervised(self._hand_on, "guest-events", self._closed.is_set)
            self._thread.start()

    def put(self, server_id: str, event: LifecycleEvent) -> None:
        """Queue an event for the listeners."""
        if not self._callbacks:
            return
        try:
            self._queue.put_nowait((server_id, event))
        except queue.Full:
            _log.warning("lifecycle event dropped", server_id=server_id, lifecycle_event=event)

    def seen(self) -> int:
        """How many changes there were: take it, look at the guest, then `wait` for the next."""
        return self._changes

    def wait(self, seen: int, timeout_s: float) -> None:
        """Until any guest of this host changes after `seen`, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, timeout_s)

    def resets(self, server_id: str) -> int:
        """How often the guest has been seen to restart by itself, since this object was made."""
        return self._resets.get(server_id, 0)

    def forget(self, server_id: str) -> None:
        """The guest is gone."""
        self._resets.pop(server_id, None)

    def close(self) -> None:
        """Hand on nothing more."""
        self._closed.set()
        self._callbacks.clear()
        if self._thread is not None:
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                _log.debug("events left at close", events=self._queue.qsize())
            self._thread.join(timeout=5)

    def _on_lifecycle(
        self, _connection: Any, domain: Any, event: int, detail: int, _opaque: Any
    ) -> None:
        known = _PLAIN.get(event)
        saved = detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and saved:
            known = LifecycleEvent.SUSPENDED
        if known is not None:
            self.put(domain.UUIDString(), known)
        self._note_change()

    def _on_reset(self, _connection: Any, domain: Any, _opaque: Any) -> None:
        server_id = domain.UUIDString()
        self._resets[server_id] = self._resets.get(server_id, 0) + 1
        self._note_change()

    def _note_change(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _hand_on(self) -> None:
        while (item := self._queue.get()) is not None:
            server_id, event = item
            try:
                ours = self._owns(server_id)
            except DriverError as error:
                _log.warning("lifecycle event dropped", server_id=server_id, error=str(error))
                continue
            if ours:
                for callback in tuple(self._callbacks):
                    callback(server_id, event)

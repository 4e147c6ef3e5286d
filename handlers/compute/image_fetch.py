"""Fetching images for a host: one fetch of an image at a time, which can be called off.

Builds that wait for another one's fetch of the same image can be called off too, so a delete never
waits for a fetch. Each build that fetches or waits reports progress while bytes arrive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from commands.compute.progress import ReportProgress
from handlers.compute.drivers.contract import Driver, GuestSpec, ImageFetch
from handlers.performer.piece import Task

LOOK_S, LOOK_MAX_S = 0.01, 0.5
"""Between two looks at whether another fetch has ended; doubled each time."""


class Transfer(Protocol):
    """What a fetch tells of its course."""

    def moved(self, bytes_done: int, bytes_total: int) -> None:
        """Note how many bytes are there; total 0: unknown. Raises when the fetch is called off."""

    def on_called_off(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` from another thread when the fetch is called off."""


Fetch = Callable[[str, Path, Transfer], None]
"""``fetch(checksum, path, transfer)`` streams the image data with this SHA-512 into a new file.

Raises ``ImageUnavailable``; OSErrors of writing may pass through.
"""

ReportOf = Callable[..., ReportProgress]
"""``report_of(ReportProgress, **fields)`` makes a report about the build."""

Key = tuple[str, str]


class Moved:
    """How much of an image under way is there."""

    def __init__(self) -> None:
        self.bytes_done = 0
        self.bytes_total = 0


class BuildTransfer:
    """``Transfer`` for one build."""

    def __init__(self, task: Task, moved: Moved, report_of: ReportOf) -> None:
        self.on_called_off = task.on_called_off
        self._task = task
        self._moved = moved
        self._report_of = report_of

    def moved(self, bytes_done: int, bytes_total: int) -> None:
        """Note it for those who wait, and report it now and then."""
        self._task.proceed()
        self._moved.bytes_done, self._moved.bytes_total = bytes_done, bytes_total
        self.said()

    def said(self) -> None:
        """Report how much is there."""
        moved = self._moved
        self._task.progress(
            lambda: self._report_of(
                ReportProgress,
                step="image",
                bytes_done=moved.bytes_done,
                bytes_total=moved.bytes_total,
            )
        )


class ImageFetches:
    """The images that are being fetched, by host and image. Thread-safe."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._under_way: dict[Key, Moved] = {}

    def ensure(
        self,
        driver: Driver,
        spec: GuestSpec,
        task: Task,
        report_of: ReportOf,
        have: Callable[[ImageFetch], None],
    ) -> None:
        """Call ``have`` with the way to fetch the image, while nobody else fetches it. Raises what
        the driver raises, or ``CalledOff``."""
        key = (driver.host, spec.image_id)
        moved = self._begin(key, task, report_of)
        transfer = BuildTransfer(task, moved, report_of)
        try:
            have(lambda image_id, path: self._fetch(spec.image_checksum, path, transfer))
        finally:
            with self._lock:
                del self._under_way[key]

    def _begin(self, key: Key, task: Task, report_of: ReportOf) -> Moved:
        """Wait until nobody fetches the image; then it is ours to fetch."""
        look_s, seen = LOOK_S, -1
        while True:
            with self._lock:
                other = self._under_way.get(key)
                if other is None:
                    mine = self._under_way[key] = Moved()
                    return mine
            task.proceed()
            if other.bytes_done != seen:
                seen = other.bytes_done
                BuildTransfer(task, other, report_of).said()
            task.pause(look_s)
            look_s = min(2 * look_s, LOOK_MAX_S)

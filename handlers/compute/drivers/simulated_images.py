"""The image cache of a simulated host: which images it has, with their checksums but no data."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import RLock

from handlers.compute.drivers.contract import GuestSpec, ImageCorrupt, ImageFetch
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.simulated_guests import SimulatedHypervisor


class SimulatedImages:
    """The images of one hypervisor. `monotonic` gives seconds, for the age of unused ones."""

    def __init__(self, hypervisor: SimulatedHypervisor, monotonic: Callable[[], float]) -> None:
        self._hypervisor = hypervisor
        self._monotonic = monotonic
        self._used_at: dict[str, float] = {}
        # Reentrant: where all is one thread (simulation), a second fetch must not wait for ever.
        self._fetching: dict[str, RLock] = {}

    def ensure(self, spec: GuestSpec, fetch: ImageFetch, delay: Callable[[], None]) -> None:
        """Have the image; `delay()` is called before it is fetched."""
        with self._hypervisor.lock:
            single_flight = self._fetching.setdefault(spec.image_id, RLock())
        with single_flight:
            cached = self._hypervisor.images.get(spec.image_id)
            if cached is None:
                delay()
                cached = _fetched_checksum(spec, fetch)
            if cached != spec.image_checksum:
                raise ImageCorrupt(
                    f"Image {spec.image_id} is corrupt: its sha512 is {cached[:16]}…, "
                    f"expected {spec.image_checksum[:16]}…."
                )
            with self._hypervisor.lock:
                self._used_at[spec.image_id] = self._monotonic()
                if spec.image_id not in self._hypervisor.images:
                    self._hypervisor.put_image(spec.image_id, cached)

    def remove_unused(self, age_s: float) -> list[str]:
        """Forget images of no guest; their age counts from when one was last seen in use."""
        with self._hypervisor.lock:
            now = self._monotonic()
            used = {guest.image_id for guest in self._hypervisor.guests.values()}
            self._used_at.update(dict.fromkeys(used, now))
            old = [
                image_id
                for image_id in self._hypervisor.images
                if now - self._used_at.setdefault(image_id, now) >= age_s and image_id not in used
            ]
            for image_id in old:
                self._hypervisor.drop_image(image_id)
                del self._used_at[image_id]
            return sorted(old)


def _fetched_checksum(spec: GuestSpec, fetch: ImageFetch) -> str:
    with tempfile.TemporaryDirectory(prefix="chronova-image-") as folder:
        path = Path(folder, "image")
        with disk_errors_named(f"image {spec.image_id}"):
            fetch(spec.image_id, path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha512").hexdigest()

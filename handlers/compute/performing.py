"""How a host performs its work: one function for each kind, in the file of its operation.

``perform(work, hands)`` makes the world so with the driver's *ensure* steps and reports what is
true afterwards. Every step is a no-op when it was done before, so after a crash the work is
simply performed again. Between two steps ``hands.proceed()`` gives way to newer work for the
same server, which supersedes this.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from commands.compute.guest import Guest, GuestReport, GuestWork
from events.message import Command
from handlers.compute.drivers.contract import (
    Driver,
    DriverError,
    GuestSpec,
    PublicKey,
)

Fetch = Callable[[str, Path], None]
"""``fetch(checksum, path)`` streams the image data with this SHA-512 into the new file ``path``.

Raises ``ImageUnavailable``; OSErrors of writing may pass through.
"""


class Superseded(Exception):
    """Newer work for the same server waits; this one is given up."""


class Hands:
    """What a performance has at hand: the driver, and the way to say what it did."""

    def __init__(
        self,
        work: GuestWork,
        driver: Driver,
        fetch: Fetch,
        report: Callable[[Command], None],
        superseded: Callable[[], bool],
    ) -> None:
        self.driver = driver
        self.fetch = fetch
        self._work = work
        self._report = report
        self._superseded = superseded

    def proceed(self) -> None:
        """Raises ``Superseded`` when something newer is to be done for this server."""
        if self._superseded():
            raise Superseded

    def report(self, kind: type[GuestReport], **fields: Any) -> None:
        """Say what was done; generation and operation are the work's."""
        work = self._work
        self._report(
            kind(
                server_id=work.server_id,
                project_id=work.project_id,
                generation=work.generation,
                operation=work.operation,
                **fields,
            )
        )


Perform = Callable[[Any, Hands], None]
Fail = Callable[[Any, Hands, str], None]

PERFORMANCES: dict[str, tuple[Perform, Fail]] = {}
"""By the work's message name: how it is performed, and what is reported when that fails."""

F = TypeVar("F", bound=Perform)


def performs(work: type[GuestWork], failed: Fail) -> Callable[[F], F]:
    """``perform(work, hands)``; ``failed(work, hands, reason)`` reports that it could not be."""

    def record(perform: F) -> F:
        PERFORMANCES[work.type_name] = (perform, failed)
        return perform

    return record


def spec_of(guest: Guest) -> GuestSpec:
    """The guest as a driver wants it. Raises ``DriverError`` when it has no image."""
    image, key = guest.image, guest.public_key
    if image is None:
        raise DriverError("A server without an image cannot be built yet.")
    return GuestSpec(
        server_id=guest.server_id,
        name=guest.name,
        hostname=guest.hostname,
        project_id=guest.project_id,
        user_id=guest.user_id,
        generation=guest.generation,
        vcpus=guest.flavor.vcpus,
        ram_mib=guest.flavor.ram_mib,
        root_gib=guest.flavor.root_gib,
        ephemeral_gib=guest.flavor.ephemeral_gib,
        swap_mib=guest.flavor.swap_mib,
        flavor_name=guest.flavor.name,
        flavor_extra_specs=guest.flavor.extra_specs,
        image_id=image.image_id,
        image_checksum=image.checksum,
        image_size_bytes=image.size_bytes,
        image_disk_format=image.disk_format,
        image_properties=image.properties,
        metadata=guest.metadata,
        config_drive=guest.config_drive,
        user_data=guest.user_data,
        public_keys=[PublicKey(name=key.name, type=key.type, public_key=key.public_key)]
        if key
        else [],
        sealed_admin_password=guest.sealed_admin_password,
        availability_zone=guest.availability_zone,
        launch_index=guest.launch_index,
        created_at=guest.created_at,
    )

"""How a host performs work on guests: one function for each kind, in the file of its operation.

``perform(work, task)`` makes the world so with the driver's *ensure* steps and returns the report
of what is true afterwards. Between two steps ``task.proceed()`` gives way to newer work for the
same server. What is done, tried again and reported is the performer's matter
(``handlers/performer``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from commands.compute.guest import Guest, GuestReport, GuestWork
from commands.compute.progress import ReportProgress
from commands.compute.work_failed import ReportWorkFailed
from events.message import Command
from handlers.compute.drivers.contract import (
    Driver,
    DriverError,
    GuestSecrets,
    GuestSpec,
    PublicKey,
    ReadSecrets,
)
from handlers.compute.image_fetch import ImageFetches
from handlers.performer.kind import Kind, Lost
from handlers.performer.piece import Task

R = TypeVar("R", bound=GuestReport)

SecretsOf = Callable[[str, Guest], GuestSecrets]
"""``secrets_of(host, guest)`` asks the API for a guest's secrets. Raises ``DriverError``."""


def without_secrets(host: str, guest: Guest) -> GuestSecrets:
    """A ``SecretsOf`` where nobody can be asked."""
    raise DriverError("The host has no way to read user data and passwords.")


class GuestTask:
    """What a performance has at hand: the driver, the images, and the way to say what it did."""

    def __init__(
        self,
        work: GuestWork,
        task: Task,
        driver: Driver,
        images: ImageFetches,
        secrets_of: SecretsOf = without_secrets,
    ) -> None:
        self.driver = driver
        self._secrets_of = secrets_of
        self.happened = task.happened
        self.proceed = task.proceed
        self._work = work
        self._task = task
        self._images = images

    def read_secrets(self, guest: Guest) -> ReadSecrets:
        """The way to the guest's user data and password, for what is made to hold them."""
        if guest.secrets is None:
            return GuestSecrets
        return lambda: self._secrets_of(self._task.host, guest)

    def ensure_image(self, spec: GuestSpec) -> None:
        """Have the image in the host's cache. Progress is reported while it is fetched."""
        self._images.ensure(
            self.driver,
            spec,
            self._task,
            self.of,
            lambda fetch: self.driver.ensure_image(spec, fetch),
        )

    def ensure_bases(self, spec: GuestSpec) -> None:
        """Have what the guest's disks are layers of; a lost image is fetched again."""
        self._images.ensure(
            self.driver,
            spec,
            self._task,
            self.of,
            lambda fetch: self.driver.ensure_bases(spec, fetch),
        )

    def report(self, kind: type[GuestReport], **fields: Any) -> None:
        """Say that a step is done."""
        self._task.report(self.of(kind, **fields))

    def of(self, kind: type[R], **fields: Any) -> R:
        """A report about this work."""
        work = self._work
        return kind(
            server_id=work.server_id,
            project_id=work.project_id,
            host=self._task.host,
            generation=work.generation,
            operation=work.operation,
            **fields,
        )


Perform = Callable[[Any, GuestTask], GuestReport]
Fail = Callable[[Any, GuestTask, str], GuestReport]
Overtaken = Callable[[Any, GuestTask], GuestReport | None]


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of work is performed, and what is reported when that fails.

    ``once``, ``long``, ``overtaken``: see ``handlers.performer.kind.Kind``. ``marked``: the outcome
    is kept with the guest.
    """

    perform: Perform
    failed: Fail
    once: bool = False
    long: bool = False
    marked: bool = True
    overtaken: Overtaken | None = None


PERFORMANCES: dict[str, Performance] = {}
"""By the work's message name."""

F = TypeVar("F", bound=Perform)


def performs(
    work: type[GuestWork],
    failed: Fail,
    *,
    once: bool = False,
    long: bool = False,
    marked: bool = True,
    overtaken: Overtaken | None = None,
) -> Callable[[F], F]:
    """``perform`` does this kind of work."""

    def record(perform: F) -> F:
        PERFORMANCES[work.type_name] = Performance(
            perform=perform,
            failed=failed,
            once=once,
            long=long,
            marked=marked,
            overtaken=overtaken,
        )
        return perform

    return record


def kinds_of(
    drivers: Mapping[str, Driver], images: ImageFetches, secrets_of: SecretsOf
) -> dict[str, Kind]:
    """The kinds of work that these hosts' drivers do, for the performer."""
    return {name: _kind(one, drivers, images, secrets_of) for name, one in PERFORMANCES.items()}


def _kind(
    one: Performance, drivers: Mapping[str, Driver], images: ImageFetches, secrets_of: SecretsOf
) -> Kind:
    def task_of(work: GuestWork, task: Task) -> GuestTask:
        return GuestTask(work, task, drivers[task.host], images, secrets_of)

    def overtaken(work: GuestWork, task: Task) -> Command | None:
        return one.overtaken(work, task_of(work, task)) if one.overtaken is not None else None

    return Kind(
        perform=lambda work, task: one.perform(work, task_of(work, task)),
        failed=lambda work, task, reason: one.failed(work, task_of(work, task), reason),
        marks=(lambda host: drivers[host]) if one.marked else None,
        once=one.once,
        long=one.long,
        queued=queued if one.long else None,
        overtaken=overtaken if one.overtaken is not None else None,
    )


def queued(work: GuestWork, host: str) -> ReportProgress:
    """The report that work waits for its turn on the host."""
    return ReportProgress(
        server_id=work.server_id,
        project_id=work.project_id,
        host=host,
        generation=work.generation,
        operation=work.operation,
        step="queued",
    )


def unable(lost: Lost) -> Command | None:
    """The report about work that the host cannot do."""
    generation, operation, _ = lost.version
    return ReportWorkFailed(
        server_id=lost.subject,
        project_id=lost.key or lost.context.project_id,
        host=lost.host,
        generation=generation,
        operation=operation,
        reason=lost.reason[:1000],
    )


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
        public_keys=[PublicKey(name=key.name, type=key.type, public_key=key.public_key)]
        if key
        else [],
        availability_zone=guest.availability_zone,
        launch_index=guest.launch_index,
        created_at=guest.created_at,
    )

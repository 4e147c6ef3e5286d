"""Whether a guest can run here with a kind of virtualisation: one is started, as all will be.

Its definition comes from the function that makes those of all guests: the same processor model,
machine type and devices, by the same libvirtd, with its files in the same file system. It has to
write a word to its console in time, so it was executed and not only started. It ends with its
connection, at the latest with this process; a process stuck in the kernel is left, after a while.
"""

from __future__ import annotations

import platform
import shutil
import threading
import time
import uuid
from concurrent.futures import Future
from pathlib import Path

import libvirt
import structlog

from handlers.compute.drivers import programs
from handlers.compute.drivers.contract import DriverError, GuestSpec, HypervisorUnavailable
from handlers.compute.drivers.disk_errors import disk_errors_named
from handlers.compute.drivers.domain_xml import CONSOLE_LOG, DomainHost, domain_xml
from handlers.compute.drivers.libvirt_connection import LibvirtConnection
from handlers.compute.drivers.libvirt_domain import destroy
from handlers.compute.drivers.probe import WORD, boot_sector

FOLDER = "probe"
TIMEOUT_S = 20.0
"""A guest with KVM needs about 1.5 s."""
END_TIMEOUT_S = 5.0
DISK_BYTES = 1 << 20
"""Firmware boots from no smaller disk."""
LOOK_AGAIN_S = 0.05

_log = structlog.get_logger(__name__)


def boots(uri: str, host: DomainHost, instances_dir: Path, timeout_s: float = TIMEOUT_S) -> bool:
    """Return whether a guest runs with ``host.virt_type`` within the time.

    Raises ``HypervisorUnavailable`` when libvirtd does not answer.
    """
    if platform.machine() != "x86_64":  # what the guest executes is x86's
        return False
    until = time.monotonic() + timeout_s
    folder, spec = instances_dir / FOLDER, probe_spec()
    started: Future[None] = Future()
    ended = threading.Event()
    arguments = (uri, domain_xml(spec, host, folder), started, ended)
    guest = threading.Thread(target=_run, args=arguments, name="probe", daemon=True)
    try:
        with disk_errors_named("the probe"):
            _write_files(folder)
        guest.start()
        started.result(timeout_s)
        done, reason = _has_written(folder / CONSOLE_LOG, until), "it does not execute"
    except TimeoutError:
        done, reason = False, "it did not start"
    except HypervisorUnavailable:
        raise
    except DriverError as error:
        done, reason = False, str(error)
    finally:
        ended.set()
        if guest.ident is not None:
            guest.join(END_TIMEOUT_S)
        shutil.rmtree(folder, ignore_errors=True)
    if not done:
        _log.warning("probe_failed", virt_type=host.virt_type, within_s=timeout_s, reason=reason)
    return done


def probe_spec() -> GuestSpec:
    """The least guest: what it has, all others have too."""
    return GuestSpec(
        server_id=str(uuid.uuid4()),
        name="probe",
        hostname="probe",
        project_id="",
        user_id="",
        generation=0,
        vcpus=1,
        ram_mib=64,
        root_gib=0,
        flavor_name="probe",
        image_id="",
        image_checksum="",
        image_size_bytes=0,
        image_disk_format="raw",
        created_at=0,
    )


def _write_files(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    sector = folder / "sector"
    sector.write_bytes(boot_sector().ljust(DISK_BYTES, b"\0"))
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
    programs.run([*convert, str(sector), str(folder / "disk")], END_TIMEOUT_S)
    (folder / CONSOLE_LOG).touch(mode=0o660)


def _run(uri: str, xml: str, started: Future[None], ended: threading.Event) -> None:
    """Run the guest until `ended`. In a thread of its own: libvirt waits for a QEMU that hangs."""
    connection = LibvirtConnection(uri, lambda _connection: None)
    try:
        with connection.calling() as open_connection:
            domain = open_connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
            started.set_result(None)
            ended.wait()
            destroy(domain)
    except Exception as error:  # noqa: BLE001 - raised by who waits for it
        if started.done():
            _log.warning("probe_not_ended", reason=str(error))
        else:
            started.set_exception(error)
    finally:
        connection.close()


def _has_written(console: Path, until: float) -> bool:
    while WORD not in console.read_bytes():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_AGAIN_S)
    return True

"""What is done to one libvirt domain (a `virDomain`), each forgiving what is already so.

libvirt's errors pass through, to be translated where the connection is (`calling`).
"""

from __future__ import annotations

from typing import Any

import libvirt

from handlers.compute.drivers.contract import PowerState
from handlers.compute.drivers.domain_xml import CHRONOVA_XMLNS, Ownership, ownership

DESTROY_ATTEMPTS = 3  # each of libvirt's takes up to 15 s; a guest in D state needs more

_POWER_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    # On its way down, not down: libvirt says SHUTOFF when the process is gone.
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def read_ownership(domain: Any, host: str) -> Ownership | None:
    """What the domain's metadata says; None for a domain not of this host's driver.

    That of the next start, or of the running guest when an operator undefined its domain.
    """
    absent = (
        libvirt.VIR_ERR_NO_DOMAIN_METADATA,
        libvirt.VIR_ERR_OPERATION_INVALID,
        libvirt.VIR_ERR_NO_DOMAIN,
    )
    for state in (libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE):
        try:
            xml = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, CHRONOVA_XMLNS, state)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in absent:
                raise
            continue
        known = ownership(xml)
        return known if known.host == host else None
    return None


def find(connection: Any, server_id: str) -> Any:
    """The domain of that server; None when there is none."""
    try:
        return connection.lookupByUUIDString(server_id)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def power_state(domain: Any) -> PowerState:
    """The domain's state, in Nova's terms; NOSTATE when it has gone since it was found."""
    try:
        return nova_state(*domain.state())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return PowerState.NOSTATE
        raise


def nova_state(state: int, reason: int) -> PowerState:
    """libvirt's state and reason, in Nova's terms."""
    if state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
        return PowerState.CRASHED
    return _POWER_STATES.get(state, PowerState.NOSTATE)


def start(domain: Any) -> None:
    """Have the domain running: created, resumed or woken."""
    state = power_state(domain)
    try:
        if state is PowerState.PAUSED:
            domain.resume()
        elif state is PowerState.SUSPENDED:
            domain.pMWakeup()
        elif state is not PowerState.RUNNING:
            domain.create()
    except libvirt.libvirtError as error:
        # Another got there first: it runs, which is what was wanted.
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not domain.isActive():
            raise


def ask_to_shut_down(domain: Any) -> None:
    """Press the ACPI power button."""
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:  # it is off by now
            raise


def destroy(domain: Any) -> None:
    """Cut the guest off, patiently: a process in the middle of I/O takes its time to die."""
    for attempt in range(1, DESTROY_ATTEMPTS + 1):
        try:
            if not domain.isActive():
                return
            domain.destroy()
        except libvirt.libvirtError as error:
            code = error.get_error_code()
            # It is off by now; one that was undefined while it ran is then gone.
            if code in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
                return
            if code != libvirt.VIR_ERR_SYSTEM_ERROR or attempt == DESTROY_ATTEMPTS:
                raise


def undefine(domain: Any) -> None:
    """Have it undefined, with its managed save, snapshots and NVRAM."""
    try:
        domain.undefineFlags(_UNDEFINE)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise

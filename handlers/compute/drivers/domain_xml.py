"""The libvirt domain of a guest, as an XML tree: pure, from the spec and the host's paths.

The metadata carries who owns the guest (host, generation) and a digest of the definition: so a
new driver finds its guests again, and knows without comparing XML whether one is as it should be.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from lxml import etree
from lxml.builder import E, ElementMaker

from commands.numbers import whole_number
from handlers.compute.drivers.contract import GuestSpec
from handlers.compute.drivers.domain_disks import boot_device, disk_elements

NOVA_XMLNS = "http://openstack.org/xmlns/libvirt/nova/1.1"
CHRONOVA_XMLNS = "urn:chronova:libvirt:1"
CONSOLE_LOG = "console.log"
CPUS_MAX = 4096
"""More sockets, cores or threads than any machine type has."""
SHARES_MAX = 262_144
"""The most that libvirt takes for a guest's CPU shares."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""
_RNG_NO = ("false", "0", "no")
_YES = ("true", "1", "yes")

_nova = ElementMaker(namespace=NOVA_XMLNS, nsmap={"nova": NOVA_XMLNS})
_chronova = ElementMaker(namespace=CHRONOVA_XMLNS, nsmap={"chronova": CHRONOVA_XMLNS})


class DomainHost(msgspec.Struct, frozen=True, kw_only=True):
    """What of the host goes into a definition.

    `virt_type`: qemu or kvm; `disk_cache`: none, or writeback where O_DIRECT does not work.
    """

    name: str
    virt_type: str
    machine: str = "pc"
    vnc_listen: str = "127.0.0.1"
    disk_cache: str = "none"


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """What Chronova wrote into a domain's metadata."""

    host: str
    project_id: str
    generation: int
    digest: str


def domain_name(server_id: str) -> str:
    """The domain's name, `OS-EXT-SRV-ATTR:instance_name` (template instance-%(uuid)s)."""
    return f"instance-{server_id}"


def domain_xml(spec: GuestSpec, host: DomainHost, folder: Path) -> str:
    """The definition; its files are in `folder`. U+FFFD stands for what XML cannot hold."""
    spec = msgspec.convert(_without_unwritable(msgspec.to_builtins(spec)), GuestSpec)
    tree = _domain(spec, host, folder)
    digest = hashlib.sha256(etree.tostring(tree, method="c14n")).hexdigest()
    metadata = tree.find("metadata")
    assert metadata is not None
    written = _chronova.server(
        host=host.name,
        project=spec.project_id,
        generation=str(spec.generation),
        digest=digest,
    )
    metadata.append(written)
    return str(etree.tostring(tree, encoding="unicode", pretty_print=True))


def _without_unwritable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_without_unwritable(k): _without_unwritable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_unwritable(each) for each in value]
    return value


def ownership(metadata_xml: str) -> Ownership:
    """Reads back what `domain_xml` wrote: the element as libvirt's metadata call gives it."""
    element = etree.fromstring(metadata_xml)
    return Ownership(
        host=element.get("host", ""),
        project_id=element.get("project", ""),
        generation=whole_number(element.get("generation", ""), 0),
        digest=element.get("digest", ""),
    )


def wanted_ownership(xml: str) -> Ownership:
    """The same, out of a whole definition."""
    element = etree.fromstring(xml).find(f"metadata/{{{CHRONOVA_XMLNS}}}server")
    assert element is not None
    return ownership(etree.tostring(element, encoding="unicode"))


def _domain(spec: GuestSpec, host: DomainHost, folder: Path) -> etree._Element:
    properties = spec.image_properties
    machine = properties.get("hw_machine_type") or host.machine
    windows = properties.get("os_type", "").lower() == "windows"
    domain = E.domain(
        E.name(domain_name(spec.server_id)),
        E.uuid(spec.server_id),
        E.metadata(_nova_instance(spec)),
        E.memory(str(spec.ram_mib * 1024), unit="KiB"),
        E.vcpu(str(spec.vcpus)),
        _sysinfo(spec),
        _os(spec, machine),
        E.features(E.acpi(), E.apic()),
        _cpu(spec, host),
        _clock(host, windows),
        E.on_poweroff("destroy"),
        E.on_reboot("restart"),
        E.on_crash("destroy"),
        _devices(spec, host, folder, machine),
        type=host.virt_type,
    )
    shares = whole_number(spec.flavor_extra_specs.get("quota:cpu_shares", ""), 0, SHARES_MAX)
    if shares:
        domain.insert(5, E.cputune(E.shares(str(shares))))
    return domain


def _nova_instance(spec: GuestSpec) -> etree._Element:
    """Nova's own metadata element: monitoring tools read it."""
    created = datetime.fromtimestamp(spec.created_at // 1_000_000, UTC)
    return _nova.instance(
        _nova.package(version="chronova"),
        _nova.name(spec.name),
        _nova.creationTime(created.strftime("%Y-%m-%d %H:%M:%S")),
        _nova.flavor(
            _nova.memory(str(spec.ram_mib)),
            _nova.disk(str(spec.root_gib)),
            _nova.swap(str(spec.swap_mib)),
            _nova.ephemeral(str(spec.ephemeral_gib)),
            _nova.vcpus(str(spec.vcpus)),
            name=spec.flavor_name,
        ),
        _nova.owner(
            _nova.user("", uuid=spec.user_id),
            _nova.project("", uuid=spec.project_id),
        ),
        _nova.root(type="image", uuid=spec.image_id),
    )


def _sysinfo(spec: GuestSpec) -> etree._Element:
    """SMBIOS. Guests (cloud-init) know an OpenStack cloud by the product's name."""
    entries = {
        "manufacturer": "OpenStack Foundation",
        "product": "OpenStack Nova",
        "serial": spec.server_id,
        "uuid": spec.server_id,
        "family": "Virtual Machine",
    }
    system = E.system(*(E.entry(text, name=name) for name, text in entries.items()))
    return E.sysinfo(system, type="smbios")


def _os(spec: GuestSpec, machine: str) -> etree._Element:
    element = E.os(
        E.type("hvm", machine=machine),
        E.boot(dev=boot_device(spec, machine)),
        E.smbios(mode="sysinfo"),
    )
    if spec.image_properties.get("hw_firmware_type") == "uefi":
        element.set("firmware", "efi")
    return element


def _cpu(spec: GuestSpec, host: DomainHost) -> etree._Element:
    """Topology as the image or flavor wants it, else a socket per CPU; the model only with KVM."""
    wanted = [_count(spec, name) for name in ("sockets", "cores", "threads")]
    sockets, cores, threads = wanted
    known = (cores or 1) * (threads or 1)
    sockets = sockets or max(1, spec.vcpus // known)
    if sockets * known != spec.vcpus:
        sockets, cores, threads = spec.vcpus, 1, 1
    topology = E.topology(sockets=str(sockets), cores=str(cores or 1), threads=str(threads or 1))
    if host.virt_type == "kvm":
        return E.cpu(topology, mode="host-model", match="exact")
    return E.cpu(topology)


def _count(spec: GuestSpec, name: str) -> int:
    text = spec.flavor_extra_specs.get(f"hw:cpu_{name}") or spec.image_properties.get(
        f"hw_cpu_{name}", "0"
    )
    return whole_number(text, 0, CPUS_MAX)


def _clock(host: DomainHost, windows: bool) -> etree._Element:
    clock = E.clock(offset="localtime" if windows else "utc")
    if host.virt_type == "kvm":
        clock.append(E.timer(name="pit", tickpolicy="delay"))
        clock.append(E.timer(name="rtc", tickpolicy="catchup"))
        clock.append(E.timer(name="hpet", present="no"))
    return clock


def _devices(spec: GuestSpec, host: DomainHost, folder: Path, machine: str) -> etree._Element:
    properties = spec.image_properties
    devices = E.devices(*disk_elements(spec, folder, machine, host.disk_cache))
    if properties.get("hw_disk_bus") == "scsi":
        model = properties.get("hw_scsi_model", "virtio-scsi")
        devices.append(E.controller(type="scsi", model=model))
    pointer = properties.get("hw_pointer_model") == "usbtablet"
    if pointer:
        devices.append(E.input(type="tablet", bus="usb"))
    elif properties.get("hw_disk_bus") != "usb":
        devices.append(E.controller(type="usb", model="none"))
    log = E.log(file=str(folder / CONSOLE_LOG), append="off")
    devices.append(E.serial(log, E.target(port="0"), type="pty"))
    if properties.get("hw_qemu_guest_agent", "").lower() in _YES:
        devices.append(
            E.channel(E.target(type="virtio", name="org.qemu.guest_agent.0"), type="unix")
        )
    video = properties.get("hw_video_model", "virtio")
    if video != "none":
        devices.append(E.graphics(type="vnc", port="-1", autoport="yes", listen=host.vnc_listen))
    devices.append(E.video(E.model(type=video)))
    watchdog = properties.get("hw_watchdog_action")
    if watchdog and watchdog != "disabled":
        devices.append(E.watchdog(model="i6300esb", action=watchdog))
    if spec.flavor_extra_specs.get("hw_rng:allowed", "true").lower() not in _RNG_NO:
        devices.append(E.rng(E.backend("/dev/urandom", model="random"), model="virtio"))
    devices.append(E.memballoon(E.stats(period="10"), model="virtio"))
    return devices

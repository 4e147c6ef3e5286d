"""What an image's properties may ask of the host that its servers get.

A value that no host has is refused when the server is asked for: the build would only fail later.
Names that are not here mean nothing to hosts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import falcon

from api.compute.extra_specs import CPUS, PAGE_SIZE
from api.compute.faults import bad_request

ARCHITECTURES = frozenset(
    {
        *("aarch64", "alpha", "armv6", "armv7b", "armv7l", "cris", "i686", "ia64", "lm32"),
        *("loongarch64", "m68k", "microblaze", "microblazeel", "mips", "mips64", "mips64el"),
        *("mipsel", "openrisc", "parisc", "parisc64", "ppc", "ppc64", "ppc64le", "ppcemb", "ppcle"),
        *("riscv32", "riscv64", "s390", "s390x", "sh4", "sh4eb", "sparc", "sparc64", "unicore32"),
        *("x86_64", "xtensa", "xtensaeb"),
        *("amd64", "i386", "i486", "i586", "x86_32", "x86_32p"),
    }
)
"""As libvirt names them; the last are other names of i686 and x86_64."""
HYPERVISORS = frozenset(
    {
        *("baremetal", "bhyve", "docker", "fake", "hyperv", "ironic", "kqemu", "kvm", "lxc", "lxd"),
        *("openvz", "parallels", "phyp", "prsm", "qemu", "test", "uml", "vbox", "vmware", "vz"),
        *("xapi", "xen", "zvm"),
    }
)
MODES = frozenset({"hvm", "xen", "uml", "exe", "pv", "hv", "baremetal"})
ANY_BUS = frozenset({"fdc", "ide", "lxc", "sata", "scsi", "uml", "usb", "virtio", "xen"})
VIF_MODELS = frozenset(
    {
        *("e1000", "e1000e", "igb", "lan9118", "ne2k_pci", "netfront", "pcnet", "rtl8139"),
        *("spapr-vlan", "sriov", "virtio", "vmxnet", "vmxnet3"),
        *("virtuale1000", "virtuale1000e", "virtualpcnet32", "virtualsriovethernetcard"),
        *("virtualvmxnet", "virtualvmxnet3"),
    }
)
BUSES = frozenset({"virtio", "scsi", "sata", "usb", "ide"})
CHOICES = {
    "hw_disk_bus": BUSES,
    "hw_cdrom_bus": BUSES,
    "hw_scsi_model": frozenset(
        {"virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "buslogic", "ibmvscsi", "vmpvscsi"}
    ),
    "hw_video_model": frozenset({"vga", "cirrus", "vmvga", "qxl", "virtio", "bochs", "none"}),
    "hw_watchdog_action": frozenset({"none", "pause", "poweroff", "reset", "disabled"}),
    "hw_firmware_type": frozenset({"bios", "uefi"}),
    "hw_pointer_model": frozenset({"usbtablet", "ps2mouse"}),
    "hw_cpu_policy": frozenset({"shared", "dedicated", "mixed"}),
    "hw_cpu_thread_policy": frozenset({"prefer", "isolate", "require"}),
    "img_config_drive": frozenset({"mandatory", "optional"}),
    "hw_emulator_threads_policy": frozenset({"share", "isolate"}),
    "hw_ephemeral_encryption_format": frozenset({"plain", "luks", "luksv2"}),
    "hw_floppy_bus": ANY_BUS,
    "hw_input_bus": frozenset({"usb", "virtio"}),
    "hw_maxphysaddr_mode": frozenset({"passthrough", "emulate"}),
    "hw_mem_encryption_model": frozenset({"amd-sev", "amd-sev-es"}),
    "hw_pci_numa_affinity_policy": frozenset({"required", "preferred", "legacy", "socket"}),
    "hw_rescue_bus": ANY_BUS,
    "hw_rescue_device": frozenset({"cdrom", "disk", "floppy"}),
    "hw_rng_model": frozenset({"virtio"}),
    "hw_tpm_model": frozenset({"tpm-tis", "tpm-crb"}),
    "hw_tpm_version": frozenset({"1.2", "2.0"}),
    "hw_viommu_model": frozenset({"intel", "smmuv3", "virtio", "auto"}),
    "img_signature_hash_method": frozenset({"SHA-224", "SHA-256", "SHA-384", "SHA-512"}),
    "os_secure_boot": frozenset({"required", "optional", "disabled"}),
}
ANY_CASE = {
    "hw_architecture": ARCHITECTURES,
    "architecture": ARCHITECTURES,
    "hw_emulation_architecture": ARCHITECTURES,
    "img_hv_type": HYPERVISORS,
    "hypervisor_type": HYPERVISORS,
    "hw_vm_mode": MODES,
    "vm_mode": MODES,
    "hw_vif_model": VIF_MODELS,
    "os_type": frozenset({"linux", "windows"}),
}
"""Written in small letters or not; three of them have an older name beside."""
COUNTS = (
    *("hw_cpu_sockets", "hw_cpu_cores", "hw_cpu_threads"),
    *("hw_cpu_max_sockets", "hw_cpu_max_cores", "hw_cpu_max_threads"),
    *("hw_numa_nodes", "hw_serial_port_count", "hw_video_ram", "hw_redirected_usb_ports"),
    *("hw_maxphysaddr_bits", "img_compression_level", "img_version"),
)
COUNT = re.compile(r"[0-9]{1,18}")
PATTERNS = {
    re.compile(r"hw_numa_mem\.[0-9]+"): (COUNT, "a number of MiB"),
    re.compile(r"hw_numa_cpus\.[0-9]+|hw_cpu_realtime_mask"): (re.compile(CPUS), "a set of CPUs"),
    re.compile(r"hw_mem_page_size"): (re.compile(PAGE_SIZE), "small, large, any or a size"),
}
"""By patterns of whole names: that of the value, and what it is in words."""
ENCRYPTED = "cinder_encryption_key_id"


def check_properties(properties: Mapping[str, str]) -> None:
    """Raises 400 for the first property with a value that no host takes."""
    if properties.get(ENCRYPTED):
        raise bad_request(
            "Direct booting of an image uploaded from an encrypted volume is unsupported."
        )
    for name, choices in CHOICES.items():
        if name in properties and properties[name] not in choices:
            raise _invalid(name, properties[name], f"one of {', '.join(sorted(choices))}")
    for name, choices in ANY_CASE.items():
        if name in properties and properties[name].lower() not in choices:
            raise _invalid(name, properties[name], f"one of {', '.join(sorted(choices))}")
    for name in COUNTS:
        text = properties.get(name, "0")
        if not COUNT.fullmatch(text):
            raise _invalid(name, text, "a whole number")
    for names, (pattern, words) in PATTERNS.items():
        for name, text in properties.items():
            if names.fullmatch(name) and not pattern.fullmatch(text):
                raise _invalid(name, text, words)


def _invalid(name: str, value: str, wanted: str) -> falcon.HTTPError:
    return bad_request(
        f"Invalid image metadata. Error: {name} is {value[:80]!r}; it must be {wanted}."
    )

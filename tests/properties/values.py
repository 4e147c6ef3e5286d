"""Values of every message class, from its own annotations and bounds.

The bounds themselves come often, and texts that programs trip over: digits of other scripts,
numbers in thousands of digits, deep JSON. Ids come from two values, so that what is drawn is about
the same things. The class of a message is all that is needed: a new one is covered at once.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as some

from events.bounds import BOUNDS, INSTANT_MAX, TEXT, Bound
from tests.parts.given import NOW

IDS = ("11111111-2222-3333-4444-555555555555", "0")
NAMES = {re.compile(r"_ids?$|^(id|members|tags|host|alternates|failed_hosts)$"): IDS}
"""Fields whose values are to meet those of other messages."""

HOSTS = ("0", "h" * 200, "-", "._-", "A.b")
ODD = (
    *(
        "",
        " ",
        "\t",
        "\x01",
        "\x7f",
        "\ufeff",
        "\u202e",
        "\u2028",
        "\U0010ffff",
        "\ufffe",
        "日本",
        "ǅ",
    ),
    *(
        "²",
        "٣",
        "१",
        "0" * 300,
        "9" * 300,
        "9" * 5000,
        "-1",
        "+1",
        "1e400",
        "-0",
        "1_0",
        "0x1f",
        " 1 ",
    ),
    *(
        "inf",
        "-inf",
        "nan",
        "NaN",
        "true",
        "None",
        "null",
        "1,2",
        ",",
        ";",
        ":",
        "/",
        "%",
        "a%2F",
        "\\u0000",
    ),
    *(
        "<b>",
        "</x>",
        "&amp;",
        "]]>",
        "'",
        '"',
        "$$",
        "{0}",
        "{}",
        "[]",
        "[x]",
        "[/x]",
        "[red",
        "%s",
        "\\",
    ),
    *("<in> ٣", ">= ²", "s== ", "<or> ", "<all-in> a", "s< ", "== 9" + "9" * 400, "> -", "<or>"),
    *(
        ">=7.0, <8",
        ">=" + "9" * 200,
        "192.168.0.1",
        "::1",
        "fe80::1%eth0",
        "/24",
        "/999",
        "10.0.0.0/8",
    ),
    *(
        "required",
        "forbidden",
        "dedicated",
        "isolate",
        "mandatory",
        "windows",
        "uefi",
        "usb",
        "scsi",
        "ide",
    ),
    *(
        "iso",
        "qcow2",
        "raw",
        "ssh",
        "x509",
        "admin",
        "AUTO",
        "a" * 255,
        "ä" * 255,
        "b" * 20_000,
        "=",
        "AAA",
    ),
    *(
        "[" * 300,
        '{"a":' * 300,
        "{" + '"a":[' * 60 + "]" * 60 + "}",
        '{"topology":{"cores":1e999}}',
    ),
    *("2026-02-30", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"),
)
"""What programs trip over. Each is cut to the bound of its field."""

KEYS = (
    *(
        "hw:cpu_sockets",
        "hw:cpu_cores",
        "hw:cpu_threads",
        "hw:cpu_policy",
        "hw:emulator_threads_policy",
    ),
    *(
        "hw_cpu_sockets",
        "hw_cpu_cores",
        "hw_cpu_threads",
        "hw_disk_bus",
        "hw_cdrom_bus",
        "hw_rng:allowed",
    ),
    *(
        "hw_machine_type",
        "hw_scsi_model",
        "hw_video_model",
        "hw_watchdog_action",
        "hw_pointer_model",
    ),
    *(
        "hw_firmware_type",
        "hw_qemu_guest_agent",
        "os_type",
        "os_shutdown_timeout",
        "img_config_drive",
    ),
    *("hw_architecture", "img_hv_type", "hw_vm_mode", "img_hv_requested_version", "architecture"),
    *(
        "quota:cpu_shares",
        "quota:disk_read_bytes_sec",
        "quota:disk_total_iops_sec",
        "resources:VCPU",
    ),
    *(
        "resources:MEMORY_MB",
        "resources:DISK_GB",
        "resources:CUSTOM_A",
        "trait:CUSTOM_A",
        "capabilities",
    ),
    *(
        "capabilities:cpu_info:topology:cores",
        "capabilities:hypervisor_version",
        "vcpus_used",
        "host",
    ),
    *(
        "num_instances",
        "cpu_allocation_ratio",
        "aggregate_instance_extra_specs:a",
        "free_ram_mb",
        "uuid",
    ),
    *("same_host", "different_host", "build_near_host_ip", "cidr", "group", "availability_zone"),
    *("filter_tenant_id", "instance_type", "max_instances_per_host", "ram_weight_multiplier"),
    *(
        "cpu_weight_multiplier",
        "disk_weight_multiplier",
        "VCPU",
        "MEMORY_MB",
        "DISK_GB",
        "PCPU",
        "CUSTOM_A",
    ),
)
"""Names in dicts (extra specs, properties, hints, aggregate metadata) that code looks for."""


@cache
def messages(cls: type[msgspec.Struct]) -> some.SearchStrategy[Any]:
    """Return all values of a class of messages, or of a struct in one."""
    return some.fixed_dictionaries(fields_of(cls)).map(lambda fields: cls(**fields))


def fields_of(cls: type[msgspec.Struct]) -> dict[str, some.SearchStrategy[Any]]:
    """Return the values of each of its fields."""
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    for field in msgspec.structs.fields(cls):
        values = of(hints[field.name], field.name)
        if field.default is not msgspec.NODEFAULT and field.default != "":
            values = values | some.just(field.default)
        found[field.name] = values
    return found


def of(
    hint: Any, name: str = "", bounds: Mapping[type, Bound] = BOUNDS
) -> some.SearchStrategy[Any]:
    """Return all values of a type hint, as ``events.bounds`` bounds it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = next((extra for extra in args[1:] if isinstance(extra, Bound)), None)
        return of(args[0], name, bounds if own is None else dict.fromkeys(BOUNDS, own))
    if origin in (Union, types.UnionType):
        return some.one_of(*(of(arg, name, bounds) for arg in args))
    if origin is Literal:
        return some.sampled_from(args)
    if origin is dict:
        inner = BOUNDS | {str: TEXT} if bounds is BOUNDS else bounds
        keys = some.sampled_from(KEYS) | of(args[0])
        return some.dictionaries(keys, of(args[1], bounds=inner), max_size=3)
    if origin in (list, tuple):
        return some.lists(of(args[0], name, bounds), max_size=2)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return messages(hint)
    return plain(hint, name, bounds)


def floats(bound: Bound) -> some.SearchStrategy[float]:
    """Return numbers within ``bound``, often at its ends or next to nothing."""
    assert bound.ge is not None and bound.le is not None
    odd = (0.0, -0.0, 5e-324, 1.0, bound.ge, bound.le)
    return some.sampled_from([n for n in odd if bound.ge <= n <= bound.le]) | some.floats(
        bound.ge, bound.le, allow_nan=False
    )


def plain(kind: Any, name: str, bounds: Mapping[type, Bound]) -> some.SearchStrategy[Any]:
    """Return the values of a number, a text, a truth or nothing."""
    if kind is str:
        return texts(bounds[str], name)
    if kind is int:
        return numbers(bounds[int])
    if kind is bool:
        return some.booleans()
    if kind is float:
        return floats(bounds[float])
    if kind is type(None):
        return some.none()
    raise TypeError(f"no values are known for {kind}")


def numbers(bound: Bound) -> some.SearchStrategy[int]:
    """Return whole numbers within a bound, the bounds themselves often."""
    assert bound.ge is not None and bound.le is not None
    least, most = int(bound.ge), int(bound.le)
    if most >= 2**63 - 1:
        most = 2**63 - 1
    ends = [number for number in (least, most, 0, 1, 2, most - 1) if least <= number <= most]
    if most == INSTANT_MAX:
        ends += [NOW - 1, NOW, NOW + 1_000_000]
    return some.sampled_from(ends) | some.integers(least, most)


def texts(bound: Bound, name: str) -> some.SearchStrategy[str]:
    """Return texts within a bound."""
    if bound.pattern is not None:
        return some.sampled_from(HOSTS)
    most = bound.chars_max or 0
    odd = some.sampled_from(sorted({text[:most] for text in ODD}))
    any_text = some.text(some.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
    for pattern, known in NAMES.items():
        if pattern.search(name):
            return some.sampled_from(known) | some.sampled_from(known) | odd
    return odd | any_text

"""What servers can be listed by: the table of filters, how each reads its value, since when.

A parameter's value is taken into ``Wanted``, from which the query is made. Filters with ``since``
``NEVER`` are for admins only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from api.compute.faults import bad_request
from projections.instants import parse

NEVER = 1000
"""A microversion that never comes: for admins only."""

TRUE_WORDS = frozenset({"1", "t", "true", "on", "y", "yes"})
BACK_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
PATTERN_CHARS_MAX = 255
SECOND = 1_000_000
FALSE_WORDS = frozenset({"0", "f", "false", "off", "n", "no"})


class Wanted(msgspec.Struct):
    """The query as it is put together."""

    exact: dict[str, list[object]] = {}
    patterns: dict[str, str] = {}
    at: list[tuple[str, str, int]] = []
    tags: dict[str, list[str]] = {}
    locked: bool | None = None
    none: bool = False


Apply = Callable[[Wanted, str, str], None]
"""``apply(wanted, target, value)``."""


class Filter(msgspec.Struct, frozen=True):
    """A parameter to filter by: how, on which column, and from when others than admins may."""

    name: str
    apply: Apply
    target: str
    since: int = NEVER


def boolean(value: str) -> bool | None:
    """Nova's reading of a boolean in a query, None when it is none."""
    word = value.strip().lower()
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def _exact(wanted: Wanted, target: str, value: str) -> None:
    wanted.exact[target] = [value]


def _integer(wanted: Wanted, target: str, value: str) -> None:
    if not re.fullmatch(r"-?\d{1,9}", value):
        raise bad_request(f"Invalid filter value for {target}: {value}")
    wanted.exact[target] = [int(value)]


def _boolean(wanted: Wanted, target: str, value: str) -> None:
    wanted.exact[target] = [bool(boolean(value))]


def _pattern(wanted: Wanted, target: str, value: str) -> None:
    # Nothing else in Postgres' expressions takes time without bound.
    if len(value) > PATTERN_CHARS_MAX or BACK_REFERENCE.search(value):
        raise bad_request(
            f"Invalid filter: the expression for {target} is longer than {PATTERN_CHARS_MAX}"
            " characters or refers back to a part of itself"
        )
    wanted.patterns[target] = value


def _instant(wanted: Wanted, target: str, value: str) -> None:
    column, _, sign = target.partition(" ")
    try:
        at = parse(value)
    except (ValueError, OverflowError):
        raise bad_request(f"Invalid filter value for {column}: {value}") from None
    # Shown are whole seconds, so these are what is compared: who asks for a moment that was shown
    # means all of that second.
    begin = -(-at // SECOND) * SECOND
    end = at // SECOND * SECOND + SECOND - 1
    if sign == ">=":
        wanted.at.append((column, sign, begin))
    elif sign == "<=":
        wanted.at.append((column, sign, end))
    elif at == begin:
        wanted.at += [(column, ">=", begin), (column, "<=", end)]
    else:
        wanted.at.append((column, sign, at))


def _tags(wanted: Wanted, target: str, value: str) -> None:
    wanted.tags[target] = [tag for tag in value.split(",") if tag]


def _locked(wanted: Wanted, target: str, value: str) -> None:
    wanted.locked = boolean(value)
    if wanted.locked is None:
        raise bad_request(f"Unrecognized value '{value}'")


def constant(wanted: Wanted, target: str, value: str) -> None:
    """Something that is the same for all servers here: no other value matches any."""
    wanted.none |= value != target


def _nothing(wanted: Wanted, target: str, value: str) -> None:
    """No server has an address before there are networks."""
    wanted.none = True


FILTERS = (
    Filter("reservation_id", _exact, "reservation_id", 1),
    Filter("name", _pattern, "name", 1),
    Filter("image", _exact, "image", 1),
    Filter("flavor", _exact, "flavor", 1),
    Filter("ip", _nothing, "", 1),
    Filter("changes-since", _instant, "updated_at >=", 1),
    Filter("ip6", _nothing, "", 5),
    Filter("tags", _tags, "tags_all", 26),
    Filter("tags-any", _tags, "tags_any", 26),
    Filter("not-tags", _tags, "tags_not_all", 26),
    Filter("not-tags-any", _tags, "tags_not_any", 26),
    Filter("changes-before", _instant, "updated_at <=", 66),
    Filter("locked", _locked, "", 73),
    Filter("availability_zone", _pattern, "availability_zone", 83),
    Filter("config_drive", _boolean, "config_drive", 83),
    Filter("key_name", _exact, "key_name", 83),
    Filter("created_at", _instant, "created_at =", 83),
    Filter("launched_at", _instant, "launched_at =", 83),
    Filter("terminated_at", _instant, "terminated_at =", 83),
    Filter("power_state", _integer, "power_state", 83),
    Filter("task_state", _exact, "task_state", 83),
    Filter("vm_state", _exact, "vm_state", 83),
    Filter("progress", constant, "0", 83),
    Filter("user_id", _exact, "user_id", 83),
    Filter("hostname", _pattern, "hostname", 90),
    Filter("launch_index", _integer, "launch_index"),
    Filter("image_ref", _exact, "image"),
    Filter("kernel_id", constant, ""),
    Filter("ramdisk_id", constant, ""),
    Filter("root_device_name", constant, "/dev/vda"),
    Filter("host", _exact, "host"),
    Filter("node", _exact, "node"),
    Filter("display_name", _pattern, "name"),
    Filter("description", _pattern, "description"),
    Filter("display_description", _pattern, "description"),
    Filter("locked_by", _exact, "locked_by"),
    Filter("uuid", _exact, "uuid"),
    Filter("access_ip_v4", _pattern, "access_ip_v4"),
    Filter("access_ip_v6", _pattern, "access_ip_v6"),
    Filter("auto_disk_config", _exact, "disk_config"),
    Filter("deleted", _boolean, "deleted"),
)

INSTANTS = {"changes-since", "changes-before"}
APPEARED = {"tags": 26, "tags-any": 26, "not-tags": 26, "not-tags-any": 26}
APPEARED |= {"changes-before": 66, "locked": 73}
"""Parameters that do not exist before a microversion, for admins neither."""

JOINED = frozenset(
    {
        *("block_device_mapping", "services", "metadata", "system_metadata", "info_cache"),
        *("security_groups", "pci_devices"),
    }
)
"""Names of Nova's joined tables: never to be filtered by."""

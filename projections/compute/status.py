"""The status that users see, from vm_state and task_state, and back for ``?status=``.

Source: https://docs.openstack.org/nova/latest/reference/vm-states.html
"""

from __future__ import annotations

from collections.abc import Iterable

REBUILDING = ("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning")
RESIZING = ("resize_prep", "resize_migrating", "resize_migrated", "resize_finish")

DEFAULT = ""
"""The key of a vm_state's status when no task overrides it."""

STATUS: dict[str, dict[str, str]] = {
    "active": {
        DEFAULT: "ACTIVE",
        "rebooting": "REBOOT",
        "reboot_pending": "REBOOT",
        "reboot_started": "REBOOT",
        "rebooting_hard": "HARD_REBOOT",
        "reboot_pending_hard": "HARD_REBOOT",
        "reboot_started_hard": "HARD_REBOOT",
        "updating_password": "PASSWORD",
        "migrating": "MIGRATING",
        **dict.fromkeys(REBUILDING, "REBUILD"),
        **dict.fromkeys(RESIZING, "RESIZE"),
    },
    "building": {DEFAULT: "BUILD"},
    "stopped": {
        DEFAULT: "SHUTOFF",
        **dict.fromkeys(RESIZING, "RESIZE"),
        **dict.fromkeys(REBUILDING, "REBUILD"),
    },
    "resized": {DEFAULT: "VERIFY_RESIZE", "resize_reverting": "REVERT_RESIZE"},
    "paused": {DEFAULT: "PAUSED", "migrating": "MIGRATING"},
    "suspended": {DEFAULT: "SUSPENDED"},
    "rescued": {DEFAULT: "RESCUE"},
    "error": {DEFAULT: "ERROR", **dict.fromkeys(REBUILDING, "REBUILD")},
    "deleted": {DEFAULT: "DELETED"},
    "soft-delete": {DEFAULT: "SOFT_DELETED"},
    "shelved": {DEFAULT: "SHELVED"},
    "shelved_offloaded": {DEFAULT: "SHELVED_OFFLOADED"},
}

PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
"""Statuses that show a progress."""
FAULT = frozenset({"ERROR", "DELETED"})
"""Statuses that show a fault."""


def status_of(vm_state: str, task_state: str | None) -> str:
    """The status shown."""
    tasks = STATUS.get(vm_state)
    if tasks is None:
        return "UNKNOWN"
    return tasks.get(task_state or DEFAULT, tasks[DEFAULT])


def states_of(statuses: Iterable[str]) -> tuple[frozenset[str], frozenset[str] | None]:
    """(vm_states, task_states) that show one of ``statuses``, whatever their case; task_states
    None means any. Both empty: no such status."""
    wanted = {status.upper() for status in statuses}
    vm_states, task_states = set(), set()
    for vm_state, tasks in STATUS.items():
        for task, status in tasks.items():
            if status in wanted:
                vm_states.add(vm_state)
                task_states.add(task)
    if DEFAULT in task_states:
        return frozenset(vm_states), None
    return frozenset(vm_states), frozenset(task_states)

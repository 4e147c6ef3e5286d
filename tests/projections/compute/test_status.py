"""Status from the states and back."""

from __future__ import annotations

import pytest

from projections.compute.status import STATUS, states_of, status_of


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "reboot_started_hard", "HARD_REBOOT"),
        ("active", "powering-off", "ACTIVE"),
        ("active", "deleting", "ACTIVE"),
        ("building", "spawning", "BUILD"),
        ("stopped", None, "SHUTOFF"),
        ("stopped", "resize_prep", "RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("paused", "migrating", "MIGRATING"),
        ("error", "rebuilding", "REBUILD"),
        ("error", "deleting", "ERROR"),
        ("deleted", None, "DELETED"),
        ("soft-delete", None, "SOFT_DELETED"),
        ("nonsense", None, "UNKNOWN"),
    ],
)
def test_status(vm_state: str, task_state: str | None, status: str) -> None:
    assert status_of(vm_state, task_state) == status


@pytest.mark.parametrize(
    ("statuses", "vm_states", "task_states"),
    [
        (["ACTIVE"], {"active"}, None),
        (["active", "shutoff"], {"active", "stopped"}, None),
        (["reboot"], {"active"}, {"rebooting", "reboot_pending", "reboot_started"}),
        (["MIGRATING"], {"active", "paused"}, {"migrating"}),
        (["REBOOT", "ERROR"], {"active", "error"}, None),
        (["nonsense"], set(), set()),
    ],
)
def test_states(statuses: list[str], vm_states: set[str], task_states: set[str] | None) -> None:
    vm, task = states_of(statuses)
    assert (set(vm), None if task is None else set(task)) == (vm_states, task_states)


def test_every_status_is_found_again() -> None:
    for vm_state, tasks in STATUS.items():
        for task, status in tasks.items():
            vm_states, task_states = states_of([status])
            assert vm_state in vm_states
            assert task_states is None or task in task_states

"""The contract suite's second part: what was lost on a host, by hand or by a removal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from handlers.compute.drivers.contract import (
    DiskMissing,
    GuestNotFound,
    LifecycleEvent,
    PowerState,
)
from tests.handlers.compute.drivers.rigs import (
    ALL_GIVEN,
    BLANK,
    Heard,
    Image,
    Rig,
    bring_up,
    full_spec,
)


def test_a_guest_that_the_hypervisor_lost_is_missed(rig: Rig) -> None:
    driver, image = rig.new_driver(), Image(BLANK)
    spec, heard = full_spec(image), Heard()
    bring_up(driver, spec, image)
    driver.listen(heard)
    rig.lose_guest(driver, spec.server_id)
    heard.wait_for(spec.server_id, LifecycleEvent.STOPPED)
    for seer in (driver, rig.new_driver()):
        assert seer.power_states() == {spec.server_id: PowerState.NOSTATE}
        assert seer.power_state(spec.server_id) is PowerState.NOSTATE
        assert (seer.generation(spec.server_id), seer.project_id(spec.server_id)) == (
            spec.generation,
            spec.project_id,
        )


def test_a_lost_guest_is_stopped_started_rebooted_and_removed(rig: Rig) -> None:
    driver, image = rig.new_driver(), Image(BLANK)
    spec = full_spec(image)
    bring_up(driver, spec, image)
    rig.lose_guest(driver, spec.server_id)
    driver.ensure_stopped(spec.server_id, 5)
    assert driver.power_state(spec.server_id) is PowerState.NOSTATE
    with pytest.raises(GuestNotFound):
        driver.ensure_running(spec.server_id)
    driver.reboot_hard(spec, ALL_GIVEN)
    assert driver.power_states() == {spec.server_id: PowerState.RUNNING}
    rig.lose_guest(driver, spec.server_id)
    driver.ensure_defined(spec)
    driver.ensure_running(spec.server_id)
    assert driver.power_states() == {spec.server_id: PowerState.RUNNING}
    rig.lose_guest(driver, spec.server_id)
    driver.ensure_absent(spec.server_id)
    assert driver.power_states() == {}
    assert driver.generation(spec.server_id) is None
    assert rig.leftovers(spec.server_id) == []


def test_bases_that_are_gone_are_had_again_before_a_start(rig: Rig) -> None:
    driver, image = rig.new_driver(), Image(BLANK)
    spec = full_spec(image)
    bring_up(driver, spec, image)
    for hard in (False, True):
        driver.ensure_stopped(spec.server_id, 0)
        rig.lose_bases(driver, image)
        driver.ensure_bases(spec, image.fetch)
        if hard:
            driver.reboot_hard(spec, ALL_GIVEN)
        else:
            driver.ensure_running(spec.server_id)
        assert driver.power_state(spec.server_id) is PowerState.RUNNING
    assert image.fetches == 3


def test_bases_that_are_there_are_not_fetched(rig: Rig) -> None:
    driver, image = rig.new_driver(), Image(BLANK)
    spec = full_spec(image)
    bring_up(driver, spec, image)
    driver.ensure_bases(spec, image.fetch)
    assert image.fetches == 1


def test_a_cached_image_is_removed_when_no_guest_uses_it(rig: Rig) -> None:
    driver, image = rig.new_driver(), Image(BLANK)
    spec = full_spec(image)
    bring_up(driver, spec, image)
    driver.ensure_stopped(spec.server_id, 0)
    assert driver.remove_unused(0) == []
    driver.ensure_bases(spec, image.fetch)
    assert image.fetches == 1
    driver.ensure_absent(spec.server_id)
    assert driver.remove_unused(3600) == []
    assert driver.remove_unused(0) != []
    assert driver.remove_unused(0) == []
    bring_up(driver, spec, image)
    assert image.fetches == 2


@pytest.mark.parametrize("file_name", ["disk", "disk.eph0", "disk.swap"])
def test_a_disk_that_is_gone_is_not_made_again(rig: Rig, file_name: str) -> None:
    driver, image = rig.new_driver(), Image(BLANK)
    spec = full_spec(image)
    bring_up(driver, spec, image)
    rig.lose_disk(driver, spec.server_id, file_name)
    # ensure_disks: a build that is repeated, say after a restart, when the server was long built.
    steps: tuple[Callable[[], object], ...] = (
        lambda: driver.ensure_bases(spec, image.fetch),
        lambda: driver.ensure_disks(spec),
        lambda: driver.ensure_defined(spec),
        lambda: driver.reboot_hard(spec, ALL_GIVEN),
    )
    for step in steps:
        with pytest.raises(DiskMissing, match=f"disk of server {spec.server_id} is not there"):
            step()
        assert driver.power_state(spec.server_id) is PowerState.RUNNING

"""What only the simulated host has: chosen delays and faults, and a memory that outlives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.compute.drivers.contract import (
    DiskFull,
    DriverError,
    HypervisorUnavailable,
    LifecycleEvent,
    PowerState,
)
from handlers.compute.drivers.simulated import SimulatedDriver, simulated_resources
from handlers.compute.drivers.simulated_console import recorded_console
from handlers.compute.drivers.simulated_faults import Fault
from handlers.compute.drivers.simulated_guests import (
    COMPACT_FLOOR_LINES,
    JOURNAL,
    SimulatedHypervisor,
)
from tests.handlers.compute.drivers.rigs import BLANK, Heard, Image, bring_up, spec_for


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class AgentDied(BaseException):
    """Stands for kill -9 in the simulation."""


def test_delays_are_slept_on_the_given_clock_once_per_deed() -> None:
    clock, image = Clock(), Image(BLANK)
    delays = {"ensure_image": 5.0, "ensure_disks": 0.5, "ensure_running": 2.0}
    driver = SimulatedDriver("host-1", sleep=clock.sleep, delays=delays)
    spec = spec_for(image)
    for _ in range(2):
        bring_up(driver, spec, image)
    assert clock.slept == [5.0, 0.5, 2.0]


def test_a_deaf_guest_costs_its_timeout() -> None:
    clock, image = Clock(), Image(BLANK)
    driver = SimulatedDriver("host-1", sleep=clock.sleep, deaf_guests="deaf-*")
    deaf, other = spec_for(image, name="deaf-1"), spec_for(image, name="vm1")
    bring_up(driver, deaf, image)
    bring_up(driver, other, image)
    driver.ensure_stopped(other.server_id, 60)
    assert clock.slept == []
    driver.ensure_stopped(deaf.server_id, 60)
    assert clock.slept == [60]


def test_a_fault_at_the_nth_call_of_a_step_for_some_servers() -> None:
    full = DiskFull("No space is left on this host's disk.")
    fault = Fault(step="ensure_disks", server_name="big-*", nth=2, error=full)
    driver, image = SimulatedDriver("host-1", faults=[fault]), Image(BLANK)
    for name in ("big-1", "small-1", "small-2"):
        bring_up(driver, spec_for(image, name=name), image)
    with pytest.raises(DiskFull):
        bring_up(driver, spec_for(image, name="big-2"), image)
    bring_up(driver, spec_for(image, name="big-3"), image)
    assert len(driver.power_states()) == 4


def test_a_fault_after_the_effect() -> None:
    lost = HypervisorUnavailable("The connection was lost.")
    driver, image = SimulatedDriver("host-1"), Image(BLANK)
    driver.faults.add(Fault(step="ensure_running", when="after", nth=1, error=lost))
    spec = spec_for(image)
    with pytest.raises(HypervisorUnavailable):
        bring_up(driver, spec, image)
    assert driver.power_state(spec.server_id) is PowerState.RUNNING
    bring_up(driver, spec, image)


def test_faults_can_be_cleared() -> None:
    driver, image = SimulatedDriver("host-1", faults=[Fault(step="ensure_image")]), Image(BLANK)
    spec = spec_for(image)
    with pytest.raises(DriverError, match="told to fail"):
        driver.ensure_image(spec, image.fetch)
    driver.faults.clear()
    driver.ensure_image(spec, image.fetch)


def test_the_hypervisor_outlives_a_simulated_death_of_the_agent() -> None:
    hypervisor, image = SimulatedHypervisor(), Image(BLANK)
    spec = spec_for(image)
    dying = SimulatedDriver("host-1", hypervisor=hypervisor)
    dying.faults.add(Fault(step="ensure_defined", when="after", error=AgentDied()))
    with pytest.raises(AgentDied):
        bring_up(dying, spec, image)
    driver = SimulatedDriver("host-1", hypervisor=hypervisor)
    assert driver.power_states() == {spec.server_id: PowerState.SHUTDOWN}
    bring_up(driver, spec, image)
    assert image.fetches == 1


def test_guests_of_one_state_file_survive_in_another_object(tmp_path: Path) -> None:
    path, image = tmp_path / "host.jsonl", Image(BLANK)
    driver = SimulatedDriver("host-1", state_path=path)
    kept, gone = spec_for(image, generation=5), spec_for(image)
    bring_up(driver, kept, image)
    bring_up(driver, gone, image)
    driver.ensure_absent(gone.server_id)
    console = driver.console_log(kept.server_id, 10_000)
    driver.close()
    again = SimulatedDriver("host-1", state_path=path)
    assert again.power_states() == {kept.server_id: PowerState.RUNNING}
    assert again.generation(kept.server_id) == 5
    assert again.console_log(kept.server_id, 10_000) == console
    again.close()


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path, image = tmp_path / "host.jsonl", Image(BLANK)
    driver = SimulatedDriver("host-1", state_path=path)
    spec = spec_for(image)
    bring_up(driver, spec, image)
    driver.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"guest":{"server_id":"half')
    again = SimulatedDriver("host-1", state_path=path)
    assert again.power_states() == {spec.server_id: PowerState.RUNNING}
    again.close()
    assert path.read_bytes().count(b"\n") == 2  # the image and the guest, rewritten


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "host.jsonl"
    path.write_text("[simulated]\n")
    with pytest.raises(DriverError, match="is not a simulated host's state"):
        SimulatedDriver("host-1", state_path=path)


def test_two_cannot_run_one_host(tmp_path: Path) -> None:
    first = SimulatedDriver("host-1", state_path=tmp_path / "host.jsonl")
    with pytest.raises(DriverError, match="Another process serves the host"):
        SimulatedDriver("host-1", state_path=tmp_path / "host.jsonl")
    first.close()
    SimulatedDriver("host-1", state_path=tmp_path / "host.jsonl").close()


def test_the_journal_does_not_grow_without_end(tmp_path: Path) -> None:
    path, image = tmp_path / "host.jsonl", Image(BLANK)
    driver = SimulatedDriver("host-1", state_path=path)
    spec = spec_for(image)
    bring_up(driver, spec, image)
    for _ in range(COMPACT_FLOOR_LINES):
        driver.ensure_stopped(spec.server_id, 1)
        driver.ensure_running(spec.server_id)
    driver.close()
    assert path.read_bytes().count(b"\n") <= COMPACT_FLOOR_LINES + 10


def test_a_crashed_guest_and_a_closed_listener() -> None:
    driver, image, heard = SimulatedDriver("host-1"), Image(BLANK), Heard()
    spec = spec_for(image)
    bring_up(driver, spec, image)
    driver.listen(heard)
    driver.guest_crashes(spec.server_id)
    heard.wait_for(spec.server_id, LifecycleEvent.STOPPED)
    assert driver.power_state(spec.server_id) is PowerState.CRASHED
    driver.close()
    driver.ensure_running(spec.server_id)
    assert heard.queue.empty()


def test_the_host_has_the_size_that_was_asked_for() -> None:
    resources = simulated_resources("host-1", vcpus=4, ram_mib=8192, disk_gib=100)
    found = SimulatedDriver("host-1", resources).resources()
    assert (found.vcpus, found.ram_mib, found.disk_gib, found.running_vms) == (4, 8192, 100, 0)


def test_another_process_reads_a_console_out_of_the_journal(tmp_path: Path) -> None:
    driver, image = SimulatedDriver("host-1", state_path=tmp_path / JOURNAL), Image(BLANK)
    spec, other = spec_for(image), spec_for(image)
    assert recorded_console(tmp_path, spec.server_id, "host-1") is None
    bring_up(driver, spec, image)
    bring_up(driver, other, image)
    driver.ensure_stopped(spec.server_id, 0)
    driver.ensure_running(spec.server_id)
    console = recorded_console(tmp_path, spec.server_id, "host-1")
    assert console == driver.console_log(spec.server_id, 4096)
    assert b"on host-1, boot 2\n" in console
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(f'{{"absent":"{spec.server_id}'.encode())
    assert recorded_console(tmp_path, spec.server_id, "host-1") == console
    driver.close()
    again = SimulatedDriver("host-1", state_path=tmp_path / JOURNAL)
    again.ensure_absent(spec.server_id)
    assert recorded_console(tmp_path, spec.server_id, "host-1") is None
    assert recorded_console(tmp_path, other.server_id, "host-1") is not None

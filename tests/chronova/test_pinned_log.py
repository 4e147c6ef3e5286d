from __future__ import annotations

from pathlib import Path

import pytest

from chronova.pinned_log import FILE, AnotherLog, pin
from handlers.compute.drivers.contract import PowerState
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.compute.drivers.simulated_guests import SimulatedGuest


def driver(guests: int = 0) -> SimulatedDriver:
    made = SimulatedDriver("h")
    for number in range(guests):
        made.hypervisor.put(
            SimulatedGuest(server_id=str(number), project_id="p", state=PowerState.RUNNING)
        )
    return made


def test_a_host_with_guests_refuses_another_log(tmp_path: Path) -> None:
    pin(tmp_path, "h", "one", driver())
    pin(tmp_path, "h", "one", driver(1))
    with pytest.raises(AnotherLog, match="guests of the log one"):
        pin(tmp_path, "h", "another", driver(1))
    pin(tmp_path, "h", "one", driver(1))


def test_a_host_without_guests_may_change(tmp_path: Path) -> None:
    pin(tmp_path, "h", "one", driver())
    pin(tmp_path, "h", "another", driver())
    with pytest.raises(AnotherLog):
        pin(tmp_path, "h", "one", driver(1))


def test_an_operator_may_take_the_guests_over(tmp_path: Path) -> None:
    pin(tmp_path, "h", "one", driver())
    (tmp_path / FILE).unlink()
    pin(tmp_path, "h", "another", driver(1))

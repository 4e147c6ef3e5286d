"""Secrets, for all drivers: read only while something is made that holds them."""

from __future__ import annotations

import pytest

from handlers.compute.drivers.contract import DriverError, GuestSecrets, PowerState
from tests.handlers.compute.drivers.rigs import (
    ALL_GIVEN,
    BLANK,
    Image,
    Rig,
    bring_up,
    full_spec,
    spec_for,
)


def test_secrets_are_read_only_for_a_drive_that_is_made(rig: Rig) -> None:
    image, read = Image(BLANK), []

    def counted() -> GuestSecrets:
        read.append(1)
        return ALL_GIVEN()

    plain, full = spec_for(image), full_spec(image)
    for spec, times in ((plain, 0), (full, 1), (full, 1)):
        bring_up(rig.new_driver(), spec, image, counted)
        assert len(read) == times
    rig.new_driver().reboot_hard(full, counted)
    assert len(read) == 1


def test_without_its_secrets_no_drive_is_made(rig: Rig) -> None:
    image = Image(BLANK)
    spec = full_spec(image)

    def gone() -> GuestSecrets:
        raise DriverError("gone")

    for _ in range(2):
        with pytest.raises(DriverError, match="gone"):
            bring_up(rig.new_driver(), spec, image, gone)
    assert rig.new_driver().power_state(spec.server_id) is PowerState.NOSTATE

"""Guests that the log does not know, as an operator lists them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import commands.compute  # noqa: F401 - takes part
from commands.compute.delete import ReportGuestRemoved
from commands.compute.power_state import ReportPowerState
from commands.compute.unknown_guest import RemoveUnknownGuest
from projections.compute.unknown_guests import find_unknown_guest, list_unknown_guests
from tests.parts.local_bus import LocalBus, store
from tests.parts.postgres import PostgresServer


@pytest.fixture
def bus(database: PostgresServer) -> Iterator[LocalBus]:
    with store(database.url) as engine:
        yield LocalBus(engine)


def seen(bus: LocalBus, host: str, server_id: str) -> None:
    report = ReportPowerState(
        server_id=server_id, project_id="p", generation=1, host=host, power_state=1
    )
    bus.send(report, "p")


def test_they_are_listed_until_they_are_settled(bus: LocalBus) -> None:
    for host, server_id in (("b", "1"), ("a", "2"), ("a", "1")):
        seen(bus, host, server_id)
    listed = [(guest.host, guest.server_id) for guest in list_unknown_guests(bus.engine)]
    assert listed == [("a", "1"), ("a", "2"), ("b", "1")]
    bus.send(RemoveUnknownGuest(host="a", server_id="2"), "p")
    found = find_unknown_guest(bus.engine, "a", "2")
    assert found is not None
    assert found.removing
    gone = ReportGuestRemoved(server_id="2", project_id="p", host="a", generation=1, operation=0)
    bus.send(gone, "p")
    assert find_unknown_guest(bus.engine, "a", "2") is None
    assert len(list_unknown_guests(bus.engine)) == 2


def test_one_that_is_found_again_is_listed_again(bus: LocalBus) -> None:
    seen(bus, "a", "1")
    bus.send(RemoveUnknownGuest(host="a", server_id="1"), "p")
    gone = ReportGuestRemoved(server_id="1", project_id="p", host="a", generation=1, operation=0)
    bus.send(gone, "p")
    seen(bus, "a", "1")
    assert find_unknown_guest(bus.engine, "a", "1") is not None

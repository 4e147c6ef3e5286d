"""A host of a version that is too old takes nothing of the work that it does not know."""

from __future__ import annotations

import pytest

from commands.compute.power import ReportGuestStopped, StopGuest
from commands.work import Order
from events.features import Levels, Reached, TooOld
from events.log.contract import LogUnavailable
from tests.handlers.performer.rig import OwnCodec, Rig, stop

UNREADABLE = b"\x00\x7f\xff\xff\xffwork of a newer version"


def levels(known: int, required: int) -> Levels:
    made = Levels(known)
    made.look_up = lambda: Reached(required, required)
    return made


def test_work_of_a_younger_version_is_left_for_it() -> None:
    """It slept while the level rose. What came before and after is left too."""
    rig = Rig()
    rig.codec = OwnCodec(levels=levels(1, 2))
    old = rig.start()
    for operation, value in ((2, None), (3, UNREADABLE), (4, None)):
        rig.tell(stop(operation, f"server-{operation}"), value)
    with pytest.raises(TooOld):
        old.step(0.0)
    old.close()
    assert rig.reports() == [] and rig.outcomes == []
    known = OwnCodec(levels=levels(2, 2))
    known.read = lambda value: younger(known, value)  # type: ignore[method-assign]
    rig.codec = known
    rig.start()
    rig.steps()
    assert rig.reported() == ["ReportGuestStopped"] * 3


def younger(codec: OwnCodec, value: bytes) -> Order:
    """The younger version reads it."""
    order = stop(3, "server-3") if value == UNREADABLE else OwnCodec.read(codec, value)
    assert isinstance(order, Order)
    return order


def test_where_the_level_cannot_be_read_nothing_is_skipped() -> None:
    rig = Rig()
    away = [True]

    def look_up() -> Reached:
        if away:
            raise LogUnavailable("away")
        return Reached()

    rig.codec = OwnCodec(levels=Levels(1))
    rig.codec.levels.look_up = look_up
    performer = rig.start()
    rig.tell(stop(2, "one"))
    rig.tell(stop(2, "two"), UNREADABLE)
    for _ in range(2):
        with pytest.raises(LogUnavailable):
            performer.step(0.0)
    assert rig.reports() == []
    away.clear()
    rig.steps()
    assert sorted(rig.reported()) == ["ReportGuestStopped", "ReportWorkFailed"]


def test_work_of_a_level_says_that_it_is_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log did not answer just then: the report could not be written, and the agent died."""
    rig = Rig()
    rig.tell(stop(2, "one"))
    for cls in (StopGuest, ReportGuestStopped):
        monkeypatch.setattr(cls, "since_level", 2)

    def away() -> Reached:
        raise LogUnavailable("away")

    rig.codec = OwnCodec(levels=Levels(2))
    rig.codec.levels.look_up = away
    rig.start()
    rig.steps()
    assert rig.codec.levels.reached == Reached(2, 2)
    assert rig.reported() == ["ReportGuestStopped"]

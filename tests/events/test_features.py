"""What may be written at which feature level, and who may be at work."""

from __future__ import annotations

from typing import ClassVar

import pytest

from commands.compute.power import StopGuest
from events.features import KNOWN, LEVELS, LOWEST, Levels, NotEnabled, Reached, TooOld
from events.log.contract import LogUnavailable
from events.log.records import Codec
from events.message import MESSAGES, Message
from schemas.commit import import_messages

WORK = StopGuest(server_id="s", project_id="p", generation=1, operation=2, grace_s=0)


class Log:
    """What the log has reached, with a count of the looks at it, and a clock to turn."""

    def __init__(self, known: int = 2) -> None:
        self.reached = Reached()
        self.looks = 0
        self.away = False
        self.now = 0.0
        self.levels = Levels(known, lambda: self.now)
        self.levels.look_up = self.look

    def look(self) -> Reached:
        self.looks += 1
        if self.away:
            raise LogUnavailable("away")
        return self.reached


def test_the_levels_are_numbered_without_a_gap_and_every_type_has_one_of_them() -> None:
    import_messages()
    assert list(LEVELS) == list(range(LOWEST, KNOWN + 1))
    assert {cls.since_level for cls in MESSAGES.values()} <= LEVELS.keys()


def test_a_younger_type_is_written_only_when_its_level_is_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StopGuest, "since_level", 2)
    log = Log()
    codec = Codec(levels=log.levels)
    with pytest.raises(NotEnabled, match=r"compute.StopGuest needs feature level 2, and 1 is"):
        codec.encode(WORK)
    log.now, log.reached = 5.0, Reached(required=2, enabled=1)
    with pytest.raises(NotEnabled):
        codec.encode(WORK)
    log.now, log.reached = 10.0, Reached(2, 2)
    assert codec.decode(codec.encode(WORK)) == WORK


def test_a_younger_value_of_a_known_type() -> None:
    class Ordered(Message, frozen=True, kw_only=True):
        """Not of the wire."""

        abstract: ClassVar[bool] = True
        verb: str

        def level_needed(self) -> int:
            return 2 if self.verb == "migrate" else self.since_level

    levels = Log().levels
    levels.require(Ordered(verb="stop"))
    with pytest.raises(NotEnabled):
        levels.require(Ordered(verb="migrate"))


def test_the_log_is_asked_once_a_second_at_most_and_not_for_what_is_enabled() -> None:
    log = Log()
    log.levels.require(WORK)
    assert log.looks == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopGuest, "since_level", 2)
        log.away = True
        for log.now in (0.0, 0.3, 0.6, 1.1):
            with pytest.raises(NotEnabled):
                log.levels.require(WORK)
    assert log.looks == 2


def test_a_process_that_knows_less_than_is_required_may_not_be_at_work() -> None:
    log = Log(known=1)
    log.levels.check()
    log.reached = Reached(required=2, enabled=1)
    with pytest.raises(TooOld, match=r"level is 2, and this version of Chronova .* upgrade it"):
        log.levels.check()


def test_what_a_process_has_seen_enabled_stays_so() -> None:
    """Two of its threads may look at once, and the older answer come last."""
    log = Log()
    log.reached = Reached(2, 2)
    assert log.levels.look() == Reached(2, 2)
    log.reached = Reached(2, 1)
    assert log.levels.look() == Reached(2, 2)

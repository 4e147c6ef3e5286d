"""Deciders are alive when they answer, whoever asked; nobody asks while others do."""

from __future__ import annotations

import threading

import pytest

from api.bus import Actor, Unavailable
from api.health.checks import Ill
from api.health.pulse import Pulse
from events.message import Command


class Deciders:
    """A bus whose deciders answer for some domains; the others' clients wait until ``end``."""

    def __init__(self, pulse: Pulse, *alive: str) -> None:
        self.alive = set(alive)
        self.asked: list[tuple[str, str]] = []
        self.end = threading.Event()
        self._pulse = pulse

    def send(self, command: Command, key: str, actor: Actor) -> None:
        self.asked.append((command.type_name, key))
        if command.type_domain in self.alive:
            self._pulse.decided(command.type_name, "accepted", 0.001)
            return
        assert self.end.wait(60)
        self._pulse.decided(command.type_name, "undecided", 15.0)
        raise Unavailable("No decision was made in time.")


def test_an_idle_site_is_asked() -> None:
    pulse = Pulse()
    bus = Deciders(pulse, "compute", "fleet")
    assert set(pulse.check(bus, 5)["last_answer_s"]) == {"compute", "fleet"}
    assert sorted(name for name, _ in bus.asked) == ["compute.Ping", "fleet.Ping"]
    pulse.check(bus, 5)
    assert len(bus.asked) == 2


def test_any_answer_is_a_sign_of_life() -> None:
    pulse = Pulse()
    bus = Deciders(pulse)
    pulse.decided("compute.StopServer", "refused", 0.01)
    pulse.decided("fleet.EnableService", "accepted", 0.01)
    pulse.check(bus, 5)
    assert bus.asked == []


def test_no_answer_is_none() -> None:
    pulse = Pulse()
    bus = Deciders(pulse, "compute")
    pulse.decided("fleet.EnableService", "undecided", 15.0)
    with pytest.raises(Ill, match="no decider answers for fleet") as caught:
        pulse.check(bus, 0.2)
    assert set(caught.value.figures["last_answer_s"]) == {"compute"}
    with pytest.raises(Ill):
        pulse.check(bus, 0.05)
    assert [name for name, _ in bus.asked].count("fleet.Ping") == 1
    bus.end.set()


def test_what_it_hears_is_passed_on() -> None:
    heard = []

    class Then:
        def decided(self, command: str, outcome: str, seconds: float) -> None:
            heard.append((command, outcome))

        def shown(self, command: str, seconds: float) -> None:
            heard.append((command, "shown"))

    pulse = Pulse(Then())
    pulse.decided("compute.StopServer", "accepted", 0.1)
    pulse.shown("compute.StopServer", 0.1)
    assert heard == [("compute.StopServer", "accepted"), ("compute.StopServer", "shown")]

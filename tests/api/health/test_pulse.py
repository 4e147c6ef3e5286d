"""Deciders are alive when they answer, whoever asked; nobody asks while others do."""

from __future__ import annotations

import threading

import pytest

from api.bus import Actor, PartitionWaits, Unavailable
from api.health.checks import DEGRADED, Ill
from api.health.pulse import KEYS, Pulse
from events.message import Command


class Deciders:
    """A bus whose deciders answer for some domains; the others' clients wait until ``end``. Keys
    in ``waiting`` are of partitions that wait for their operator: refused at once."""

    def __init__(self, pulse: Pulse, *alive: str) -> None:
        self.alive = set(alive)
        self.waiting: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.end = threading.Event()
        self._pulse = pulse

    def send(self, command: Command, key: str, actor: Actor) -> None:
        self.asked.append((command.type_name, key))
        if key in self.waiting:
            self._pulse.decided(command.type_name, "unsent", 0.001)
            raise PartitionWaits("It waits for its operator.", 10)
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


def test_a_partition_that_waits_is_passed_over() -> None:
    """Expected failure: the refusal counts as no answer, and ``check`` raises ``Ill``."""
    pulse = Pulse()
    bus = Deciders(pulse, "compute", "fleet")
    bus.waiting = {"ping-0", "ping-1"}
    figures = pulse.check(bus, 5)
    assert set(figures["last_answer_s"]) == {"compute", "fleet"}
    assert DEGRADED not in figures
    asked = [key for name, key in bus.asked if name == "compute.Ping"]
    assert asked == ["ping-0", "ping-1", "ping-2"]


def test_where_all_partitions_wait_the_part_is_degraded() -> None:
    """Expected failure: ``check`` raises ``Ill``, or asks without end."""
    pulse = Pulse()
    bus = Deciders(pulse, "compute", "fleet")
    keys = {f"ping-{n}" for n in range(KEYS)}
    bus.waiting = {"default"}
    assert pulse.check(bus, 5)[DEGRADED].endswith("wait for their operator: fleet")
    bus.waiting = {"default", *keys}
    idle = Pulse()
    told = idle.check(bus, 5)[DEGRADED]
    assert told.endswith("wait for their operator: compute, fleet")
    assert len([key for _, key in bus.asked if key in keys]) == 1 + KEYS


def test_what_waited_and_then_does_not_answer_is_ill() -> None:
    """Expected failure: what waited once is called degraded for ever."""
    pulse = Pulse()
    bus = Deciders(pulse, "compute")
    bus.waiting = {"default"}
    pulse.check(bus, 5)
    bus.waiting.clear()
    with pytest.raises(Ill, match="no decider answers for fleet"):
        pulse.check(bus, 0.2)
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

"""The decider's role: nothing that it needs ends without being noticed."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest

from chronova.domains import load_handlers
from chronova.metrics.meters import DeciderMeters
from chronova.metrics.store import Store
from chronova.roles.decider import _monitor, counted_troubles, decider_of
from chronova.settings import Settings
from chronova.stopping import Stop
from commands.compute.ping import Ping
from commands.decision import DECIDERS, Decision, accept
from events import topics
from events.log.contract import Outgoing
from events.log.memory import Cluster, MemoryLog
from events.log.records import Codec, headers
from events.message import Context
from handlers.decider import Decider
from handlers.scheduler import LivenessMonitor
from tests.chronova.metrics.test_store import figures


def test_a_defect_of_the_monitor_ends_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: LivenessMonitor) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(LivenessMonitor, "step", step)
    log = MemoryLog(cluster=Cluster(lambda: 0))
    log.create_topics(topics.all_topics(1))
    decider = Decider(log, ["fleet"])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    failed: list[Exception] = []
    try:
        stop = Stop()
        _monitor(Settings(), log, decider, stop, failed).join(10)
        assert stop.is_set()
        assert [str(error) for error in failed] == ["a defect"]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        decider.close()
        log.close()


def test_a_partition_that_waits_is_counted_in_the_metric(tmp_path: Path) -> None:
    """Expected failure: the heartbeat says it, and the gauge stays at none."""
    load_handlers()
    log = MemoryLog(cluster=Cluster(lambda: 0))
    log.create_topics(topics.all_topics(2))
    store = Store(tmp_path, "decider")
    meters = DeciderMeters(store)
    decider = Decider(log, ["compute"], threaded=False, watcher=meters)
    try:
        assert counted_troubles(decider, meters) == []
        assert figures(tmp_path)["chronova_decider_waiting[]"] == 0
        made = headers(Context(id="x", time=1), "compute.ServerVanished", "/test", "server/s")
        log.append([Outgoing(topics.events("compute"), "s", b"unreadable", made, 1)])
        for _ in range(8):
            decider.step(0.0)
        (trouble,) = counted_troubles(decider, meters)
        assert trouble.startswith("compute.events/1")
        assert figures(tmp_path)["chronova_decider_waiting[]"] == 1
    finally:
        decider.close()
        log.close()
        store.close()


def test_what_is_to_be_folded_is_counted_in_the_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Decider, "unfolded", lambda self: 7)
    log = MemoryLog(cluster=Cluster(lambda: 0))
    log.create_topics(topics.all_topics(1))
    store = Store(tmp_path, "decider")
    meters = DeciderMeters(store)
    decider = Decider(log, ["compute"], threaded=False, watcher=meters)
    try:
        counted_troubles(decider, meters)
        assert figures(tmp_path)["chronova_decider_unfolded_records[]"] == 7
    finally:
        decider.close()
        log.close()
        store.close()


def test_the_role_breaks_off_a_decision_that_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected failure: it decides for as long as that takes."""

    def endless(state: object, command: object, at: int) -> Decision:
        for _ in range(1000):
            signal.raise_signal(signal.SIGALRM)
        return accept()

    ping = DECIDERS[Ping.type_name]
    monkeypatch.setitem(DECIDERS, Ping.type_name, msgspec.structs.replace(ping, decide=endless))
    before = signal.getsignal(signal.SIGALRM)
    store = Store(tmp_path / "metrics", "decider")
    log = MemoryLog(cluster=Cluster(lambda: 0))
    log.create_topics(topics.all_topics(1))
    decider = decider_of(Settings(data=str(tmp_path)), log, DeciderMeters(store))
    try:
        made = headers(Context(id="x", time=1, reply_to="0"), Ping.type_name, "/test")
        log.append([Outgoing(topics.commands("compute"), "k", Codec().encode(Ping(key="k")), made)])
        name = f"chronova_decider_decisions_total{[Ping.type_name, 'over_budget']}"
        for _ in range(100):
            decider.step(0.1)
            if name in figures(tmp_path / "metrics"):
                break
        assert figures(tmp_path / "metrics")[name] == 1
    finally:
        decider.close()
        log.close()
        store.close()
        signal.signal(signal.SIGALRM, before)

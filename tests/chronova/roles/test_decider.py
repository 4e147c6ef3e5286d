"""The decider's role: nothing that it needs ends without being noticed."""

from __future__ import annotations

import signal

import pytest

from chronova.roles.decider import _monitor
from chronova.settings import Settings
from chronova.stopping import Stop
from events import topics
from events.log.memory import Cluster, MemoryLog
from handlers.decider import Decider
from handlers.scheduler import LivenessMonitor


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
        assert stop.stopped()
        assert [str(error) for error in failed] == ["a defect"]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        decider.close()
        log.close()

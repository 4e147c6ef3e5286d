"""Two deciders: one ends, is killed, is frozen and comes back. The other one takes over."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil

from chronova.connections import open_site_log
from chronova.domains import load_handlers
from tests.chaos.check import check
from tests.chaos.load import Load
from tests.chaos.probe import TOPIC, Prober
from tests.chaos.victim import Victim, frozen, wait_until

TAKEOVER_S = 8.0
HANDOVER_S = 2.0
JOIN_S = 30.0


@contextmanager
def second_decider(victim: Victim, prober: Prober) -> Iterator[psutil.Process]:
    """Another decider of the site, once it owns its share of the partitions."""
    path = victim.data / "logs" / "second-decider.log"
    with path.open("ab") as output:
        began = path.stat().st_size
        command = [sys.executable, "-m", "chronova", "--data", str(victim.data)]
        started = subprocess.Popen([*command, "serve", "decider"], stdout=output, stderr=output)
    try:
        wait_until(
            lambda: b'"gained"' in path.read_bytes()[began:] or started.poll() is not None,
            JOIN_S,
            "a share of the second decider",
        )
        assert started.poll() is None, path.read_text()[-1000:]
        prober.probe(JOIN_S)
        yield psutil.Process(started.pid)
    finally:
        started.kill()
        started.wait(10)


def test_takeover(victim: Victim) -> None:
    load_handlers()
    with closing(open_site_log(victim.site.settings)) as log:
        prober = Prober(log)
        with Load(victim.site, rate=3.0) as load:
            with second_decider(victim, prober) as second:
                second.send_signal(signal.SIGTERM)
                handover_s = prober.probe(TAKEOVER_S)
            with second_decider(victim, prober) as second:
                second.kill()
                takeover_s = prober.probe(TAKEOVER_S)
            with second_decider(victim, prober) as second:
                prober.send(range(log.partitions(TOPIC)))  # so that it is stopped at work
                with frozen([second]):
                    frozen_s = prober.probe(TAKEOVER_S)
                zombie_s = prober.probe(TAKEOVER_S)
        print(
            f"\nhandover {handover_s:.2f} s, kill {takeover_s:.2f} s,"
            f" freeze {frozen_s:.2f} s, zombie back {zombie_s:.2f} s"
        )
        assert handover_s < HANDOVER_S
        decided = prober.decided()
        assert {decided.get(id) for id in prober.sent} == {1}
    assert check(victim.site, load.ledger) == []

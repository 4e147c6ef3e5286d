"""Do the deciders decide? Any answer proves it; when none came lately, a ``Ping`` asks for one.

So a busy site is never asked, and an idle one not more often than its health is. Pings take
the partitions in turn, because each may have another decider. A partition that waits for its
operator is passed over: no other API could do better. Where all of a domain wait, that is told.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from api.bus import Actor, Bus, PartitionWaits, Refused, Unavailable
from api.health.checks import DEGRADED, Ill
from api.log_bus import Observer, Unobserved
from commands.compute.ping import Ping as ComputePing
from commands.fleet.ping import Ping as FleetPing
from events.fleet.request import SHARD

FRESH_S = 5.0
"""An answer counts as a sign of life for that long."""

PINGS: Mapping[str, type[ComputePing] | type[FleetPing]] = {
    "compute": ComputePing,
    "fleet": FleetPing,
}
"""By domain: what a boot cannot do without."""

KEYS = 12
"""Different keys that are asked for, so that all partitions have their turn."""


class Pulse:
    """Observes a bus (``api.log_bus.Observer``), passing on to ``then``; ``check`` is a part."""

    def __init__(self, then: Observer | None = None) -> None:
        self._then = then or Unobserved()
        self._answered = dict.fromkeys(PINGS, float("-inf"))
        self._turn = itertools.count()
        self._asking: dict[str, threading.Thread] = {}
        self._waiting: set[str] = set()
        """Domains of which the last ``Ping`` found no partition that does not wait."""

    def decided(self, command: str, outcome: str, seconds: float) -> None:
        """See ``Observer``; an answer is a sign of life of its domain's deciders."""
        domain = command.partition(".")[0]
        if outcome in ("accepted", "refused") and domain in self._answered:
            self._answered[domain] = time.monotonic()
        self._then.decided(command, outcome, seconds)

    def shown(self, command: str, seconds: float) -> None:
        """See ``Observer``."""
        self._then.shown(command, seconds)

    def check(self, bus: Bus, limit_s: float) -> Mapping[str, Any]:
        """When each domain last answered, and which wait for their operator as a whole. Raises
        ``Ill``, naming those that do not answer."""
        silent = [domain for domain in PINGS if self._age(domain) > FRESH_S]
        asked = [self._ping(bus, domain) for domain in silent]
        deadline = time.monotonic() + limit_s
        for thread in asked:
            thread.join(max(0.0, deadline - time.monotonic()))
        silent = [domain for domain in silent if self._age(domain) > FRESH_S]
        waiting = [domain for domain in silent if domain in self._waiting]
        dead = [domain for domain in silent if domain not in waiting]
        if dead:
            raise Ill(f"no decider answers for {', '.join(dead)}", self._figures())
        if waiting:
            told = f"all partitions that were asked wait for their operator: {', '.join(waiting)}"
            return {**self._figures(), DEGRADED: told}
        return self._figures()

    def _figures(self) -> dict[str, Any]:
        ages = {domain: self._age(domain) for domain in PINGS}
        known = {domain: round(age, 1) for domain, age in ages.items() if age != float("inf")}
        return {"last_answer_s": known}

    def _age(self, domain: str) -> float:
        return time.monotonic() - self._answered[domain]

    def _ping(self, bus: Bus, domain: str) -> threading.Thread:
        """Ask, unless an earlier question still waits for its answer."""
        asking = self._asking.get(domain)
        if asking is None or not asking.is_alive():
            self._waiting.discard(domain)
            asking = threading.Thread(
                target=self._send, args=(bus, domain), name=f"ping-{domain}", daemon=True
            )
            self._asking[domain] = asking
            asking.start()
        return asking

    def _send(self, bus: Bus, domain: str) -> None:
        for key in self._keys(domain):
            try:
                return bus.send(PINGS[domain](key=key), key, Actor("", "", f"req-{uuid.uuid4()}"))
            except PartitionWaits:
                continue
            except (Refused, Unavailable):
                return  # what there was to learn, ``decided`` was told
        self._waiting.add(domain)

    def _keys(self, domain: str) -> Iterator[str]:
        """The keys to try, one after the other, until one is of a partition that does not wait."""
        if domain == "fleet":
            yield SHARD
            return
        for _ in range(KEYS):
            yield f"ping-{next(self._turn) % KEYS}"

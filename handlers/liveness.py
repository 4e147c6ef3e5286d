"""Which hosts are alive, judged from their heartbeats. Pure: time is given, in seconds.

A host's silence counts from its last sign of life: a heartbeat, the moment this judge first knew
it, or the moment somebody else (its agent, by registering) said it was up. So after a start of
this process, or a pause in which it could not listen, every host has the whole of
``service_down_time`` to be heard: a deaf judge never calls a host dead.
"""

from __future__ import annotations

from collections.abc import Mapping

from commands.fleet.service import ReportServiceDown, ReportServiceUp

Verdict = ReportServiceDown | ReportServiceUp


class Liveness:
    """Signs of life of hosts. ``report_interval_s`` is how often a host is to be heard."""

    def __init__(self, service_down_time_s: float = 60.0, report_interval_s: float = 10.0) -> None:
        if report_interval_s <= 0:
            raise ValueError("report_interval must be above 0")
        if service_down_time_s <= report_interval_s:
            # As Nova does: a host must be able to miss a report.
            service_down_time_s = 2.5 * report_interval_s
        self.service_down_time_s = service_down_time_s
        self.report_interval_s = report_interval_s
        self._sign: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._up: dict[str, bool] = {}
        self._said: dict[str, float] = {}
        self._judged: float | None = None

    def heard(self, host: str, now: float) -> None:
        """A heartbeat of that host has come in."""
        self._heard[host] = self._sign[host] = now

    def deaf(self) -> None:
        """Heartbeats may have been missed: silence counts from the next judgement."""
        self._sign.clear()
        self._up.clear()
        self._said.clear()
        self._judged = None

    def judge(self, now: float, hosts: Mapping[str, bool]) -> list[Verdict]:
        """What has changed, given the hosts there are and whether each one counts as up.

        A verdict that was not taken up (``hosts`` says the same as before) is given again after
        ``report_interval_s``.
        """
        if self._judged is not None and now - self._judged > self.service_down_time_s / 2:
            self.deaf()
        self._judged = now
        self._forget(hosts)
        verdicts = []
        for host, up in hosts.items():
            verdict = self._verdict(host, up, now)
            if verdict is not None and self._worth_saying(host, now):
                verdicts.append(verdict)
        return verdicts

    def _verdict(self, host: str, up: bool, now: float) -> Verdict | None:
        if up and not self._up.get(host, False):
            self._sign[host] = max(now, self._sign.get(host, now))
        if up != self._up.get(host):
            self._said.pop(host, None)
        self._up[host] = up
        if up:
            silent = now - self._sign[host]
            if silent <= self.service_down_time_s:
                return None
            return ReportServiceDown(host=host, silent_s=round(silent, 3))
        heard = self._heard.get(host)
        if heard is None or now - heard > self.service_down_time_s:
            return None
        return ReportServiceUp(host=host)

    def _worth_saying(self, host: str, now: float) -> bool:
        said = self._said.get(host)
        if said is not None and now - said < self.report_interval_s:
            return False
        self._said[host] = now
        return True

    def _forget(self, hosts: Mapping[str, bool]) -> None:
        for known in (self._sign, self._heard, self._up, self._said):
            for host in [host for host in known if host not in hosts]:
                del known[host]

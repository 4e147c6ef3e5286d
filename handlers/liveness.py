"""Which hosts are alive, judged from their heartbeats. Pure: time is given, in seconds.

A host's silence counts from its last sign of life: a heartbeat, the moment this judge first knew
it, or the moment somebody else (its agent, by registering) said it was up. So after a start of
this process, or a pause in which it could not listen, every host has the whole of
``service_down_time`` to be heard: a deaf judge never calls a host dead. A host whose service said
that it ends is down at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from commands.fleet.service import ReportServiceDown, ReportServiceUp

Verdict = ReportServiceDown | ReportServiceUp


GOODBYE_S = 5.0
"""A service that is restarted is back by then; boots meanwhile wait in the host's topic."""


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
        self._known: dict[str, bool] = {}
        """Whether each host counts as up, as it was at the last judgement."""
        self._signs: dict[str, float] = {}
        """The last sign of life of each host that counts as up."""
        self._heard: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        """When hosts said that their services end; those that were not heard since."""
        self._said: dict[str, float] = {}
        self._judged: float | None = None

    def heard(self, host: str, now: float) -> None:
        """A heartbeat of that host has come in."""
        self._heard[host] = now
        self._ended.pop(host, None)
        if host in self._signs:
            self._signs[host] = now

    def heard_before(self, host: str) -> None:
        """A heartbeat of that host had come before this judge listened: its goodbye of before is
        over, and it tells nothing else."""
        self._ended.pop(host, None)

    def ended(self, host: str, now: float) -> None:
        """The last heartbeat of that host's service has come in: it ends. It is down unless it is
        heard again within ``GOODBYE_S``, as after a restart."""
        self._heard.pop(host, None)
        self._ended[host] = now

    def deaf(self) -> None:
        """Heartbeats may have been missed: silence counts from the next judgement."""
        for known in (self._known, self._signs, self._ended, self._said):
            known.clear()
        self._judged = None

    def judge(self, now: float, hosts: Mapping[str, bool]) -> list[Verdict]:
        """What has changed, given the hosts there are and whether each one counts as up.

        A verdict that was not taken up (``hosts`` says the same as before) is given again after
        ``report_interval_s``.
        """
        if self._judged is not None and now - self._judged > self.service_down_time_s / 2:
            self.deaf()
        self._judged = now
        if hosts != self._known:
            self._follow(hosts, now)
        if len(self._heard) + len(self._ended) > len(self._known):
            self._forget()
        return [verdict for verdict in self._verdicts(now) if self._worth_saying(verdict.host, now)]

    def _follow(self, hosts: Mapping[str, bool], now: float) -> None:
        for host in self._known.keys() - hosts.keys():
            self._signs.pop(host, None)
            self._said.pop(host, None)
        for host, up in hosts.items():
            if self._known.get(host) is up:
                continue
            self._said.pop(host, None)
            if up:
                self._signs[host] = now
                if host in self._known:
                    self._ended.pop(host, None)  # its agent has registered since
            else:
                self._signs.pop(host, None)
        self._known = dict(hosts)

    def _forget(self) -> None:
        """Drop what was heard of hosts that are not there: anybody may send a heartbeat."""
        strangers: Iterable[str] = (self._heard.keys() | self._ended.keys()) - self._known.keys()
        for host in strangers:
            self._heard.pop(host, None)
            self._ended.pop(host, None)

    def _verdicts(self, now: float) -> Iterator[Verdict]:
        gone = [host for host, at in self._ended.items() if now - at >= GOODBYE_S]
        for host in gone:
            if (sign := self._signs.get(host)) is not None:
                yield ReportServiceDown(host=host, silent_s=round(now - sign, 3), ended=True)
        oldest = now - self.service_down_time_s
        for host in [host for host, sign in self._signs.items() if sign < oldest]:
            if host not in self._ended:
                yield ReportServiceDown(host=host, silent_s=round(now - self._signs[host], 3))
        for host in [host for host, up in self._known.items() if not up]:
            heard = self._heard.get(host)
            if heard is not None and heard >= oldest:
                yield ReportServiceUp(host=host)

    def _worth_saying(self, host: str, now: float) -> bool:
        said = self._said.get(host)
        if said is not None and now - said < self.report_interval_s:
            return False
        self._said[host] = now
        return True

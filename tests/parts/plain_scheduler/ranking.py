"""Weighing: hosts in order of their scores, best first.

Score = sum over the weighers of multiplier x normalised raw value; normalised over the hosts that
are left: (x - low) / (high - low). Hosts with equal scores are in the order of their names, so
that the order does not depend on how the state came to be. Scores are computed for all hosts,
details only for the few that end up in the evidence.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from events.fleet.evidence import HostScore, WeigherScale
from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Judges, Question


class Column(msgspec.Struct, frozen=True):
    """One weigher's raw values for all hosts, and how they count."""

    scale: WeigherScale
    raw: Sequence[float]

    def normalised(self, index: int) -> float:
        """The value of one host between 0 and 1."""
        span = self.scale.high - self.scale.low
        return (self.raw[index] - self.scale.low) / span if span > 0 else 0.0


class Ranking(msgspec.Struct, frozen=True):
    """``order``: indices of the best hosts, best first; ``tied``: how many share the top score."""

    hosts: list[Host]
    totals: list[float]
    columns: list[Column]
    order: list[int]
    tied: int

    def score(self, index: int) -> HostScore:
        """One host's scores in full."""
        return HostScore(
            host=self.hosts[index].host,
            score=self.totals[index],
            raw=[float(column.raw[index]) for column in self.columns],
            normalised=[column.normalised(index) for column in self.columns],
        )


def weigh(
    hosts: list[Host], question: Question, judges: Judges
) -> tuple[list[float], list[Column]]:
    """Each host's score, and what it was made of. A single host is not weighed."""
    totals = [0.0] * len(hosts)
    columns: list[Column] = []
    if len(hosts) < 2:
        return totals, columns
    for weigher, multiplier in judges.weighers:
        own = question.multipliers.get(weigher.option) if question.aggregates else None
        if not multiplier and not own:
            continue
        raw = weigher.weigh(hosts, question)
        if raw is None:
            continue
        low, high = min(raw), max(raw)
        if weigher.floor:
            if low < 0:
                raw = [x if x > 0 else 0.0 for x in raw]
            low, high = 0.0, max(high, 0.0)
        scale = WeigherScale(weigher=weigher.name, multiplier=multiplier, low=low, high=high)
        columns.append(Column(scale, raw))
        if high <= low:
            continue
        if own:
            multipliers = [own.get(h.host, multiplier) for h in hosts]
            span = high - low
            totals = [
                t + (x - low) * m / span for t, x, m in zip(totals, raw, multipliers, strict=True)
            ]
        else:
            factor = multiplier / (high - low)
            totals = [t + (x - low) * factor for t, x in zip(totals, raw, strict=True)]
    return totals, columns


def rank(
    hosts: list[Host], question: Question, judges: Judges, draw: Callable[[], Random]
) -> Ranking:
    """The best hosts in order, as many as the policy can need."""
    totals, columns = weigh(hosts, question, judges)
    policy = judges.policy
    wanted = max(policy.scores_max, policy.alternates_max + 1, policy.host_subset_size)
    best = max(totals)
    cut = min(heapq.nlargest(wanted, totals)) if len(hosts) > wanted else min(totals)
    short = [(-t, hosts[i].host, i) for i, t in enumerate(totals) if t >= cut]
    ordered = heapq.nsmallest(wanted, short) if len(short) > wanted else sorted(short)
    order = [i for _, _, i in ordered]
    tied = totals.count(best)
    if policy.shuffle_best_same_weighed_hosts and tied > 1:
        top = [i for _, i in sorted((h.host, i) for i, h in enumerate(hosts) if totals[i] == best)]
        draw().shuffle(top)
        order = [*top, *(i for i in order if totals[i] < best)][:wanted]
    return Ranking(hosts, totals, columns, order, tied)


def choose(ranking: Ranking, judges: Judges, draw: Callable[[], Random]) -> tuple[int, list[int]]:
    """The winner and its alternates, as indices: at random among the ``host_subset_size`` best."""
    subset = ranking.order[: judges.policy.host_subset_size]
    winner = subset[0] if len(subset) == 1 else draw().choice(subset)
    others = [i for i in ranking.order if i != winner]
    return winner, others[: judges.policy.alternates_max]

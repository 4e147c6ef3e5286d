"""Weighing: hosts in order of their scores, best first.

Score = sum over the weighers of multiplier x normalised raw value; normalised over the hosts that
are left: (x - low) / (high - low). Hosts with equal scores are in the order of their names, so
that the order does not depend on how the state came to be. Scores are computed for all hosts,
details only for the few that end up in the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

import msgspec
import numpy as np

from commands.fleet.candidates import Candidates
from commands.fleet.judges import Judges, Question
from commands.fleet.table import Numbers
from events.fleet.evidence import HostScore, WeigherScale
from events.fleet.host import Host


class Column(msgspec.Struct, frozen=True):
    """One weigher's raw values for all hosts, and how they count."""

    scale: WeigherScale
    raw: Numbers

    def normalised(self, place: int) -> float:
        """The value of one host between 0 and 1."""
        span = self.scale.high - self.scale.low
        return (float(self.raw[place]) - self.scale.low) / span if span > 0 else 0.0


class Ranking(msgspec.Struct, frozen=True):
    """``order``: places of the best hosts, best first; ``tied``: how many share the top score."""

    candidates: Candidates
    totals: Numbers
    columns: list[Column]
    order: list[int]
    tied: int

    def score(self, place: int) -> HostScore:
        """One host's scores in full."""
        return HostScore(
            host=self.candidates.host(place).host,
            score=float(self.totals[place]),
            raw=[float(column.raw[place]) for column in self.columns],
            normalised=[column.normalised(place) for column in self.columns],
        )


def weigh(
    candidates: Candidates, question: Question, judges: Judges
) -> tuple[Numbers, list[Column]]:
    """Each host's score, and what it was made of. A single host is not weighed."""
    totals = np.zeros(len(candidates))
    columns: list[Column] = []
    if len(candidates) < 2:
        return totals, columns
    for weigher, multiplier in judges.weighers:
        own = question.multipliers(weigher.option, candidates)
        if not multiplier and not own:
            continue
        weighed: Sequence[float] | Numbers | None = weigher.weigh(candidates, question)
        if weighed is None:
            continue
        raw = np.asarray(weighed, dtype=np.float64)
        low, high = float(raw.min()), float(raw.max())
        if weigher.floor:
            if low < 0:
                raw = np.where(raw > 0, raw, 0.0)
            low, high = 0.0, max(high, 0.0)
        scale = WeigherScale(weigher=weigher.name, multiplier=multiplier, low=low, high=high)
        columns.append(Column(scale, raw))
        if high <= low:
            continue
        if own:
            each = candidates.by_membership(_of(own, multiplier))
            totals += (raw - low) * each / (high - low)
        else:
            totals += (raw - low) * (multiplier / (high - low))
    return totals, columns


def _of(own: Mapping[tuple[str, ...], float], multiplier: float) -> Callable[[Host], float]:
    return lambda host: own.get(host.aggregates, multiplier)


def rank(
    candidates: Candidates, question: Question, judges: Judges, draw: Callable[[], Random]
) -> Ranking:
    """The best hosts in order, as many as the policy can need."""
    totals, columns = weigh(candidates, question, judges)
    policy = judges.policy
    wanted = max(policy.scores_max, policy.alternates_max + 1, policy.host_subset_size)
    best = totals.max()
    tied = int(np.count_nonzero(totals == best))
    order = _best(totals, wanted)
    if policy.shuffle_best_same_weighed_hosts and tied > 1:
        top = np.flatnonzero(totals == best).tolist()
        draw().shuffle(top)
        order = [*top, *(place for place in order if totals[place] < best)][:wanted]
    return Ranking(candidates, totals, columns, order, tied)


def _best(totals: Numbers, wanted: int) -> list[int]:
    """The places of the highest totals, highest first; of equal ones the first in place."""
    count = len(totals)
    short = range(count)
    if count > wanted:
        cut = np.partition(totals, count - wanted)[count - wanted]
        above = np.flatnonzero(totals > cut).tolist()
        level = np.flatnonzero(totals == cut)[: wanted - len(above)].tolist()
        short = above + level
    return sorted(short, key=lambda place: (-totals[place], place))


def choose(ranking: Ranking, judges: Judges, draw: Callable[[], Random]) -> tuple[int, list[int]]:
    """The winner and its alternates, as places: at random among the ``host_subset_size`` best."""
    subset = ranking.order[: judges.policy.host_subset_size]
    winner = subset[0] if len(subset) == 1 else draw().choice(subset)
    others = [i for i in ranking.order if i != winner]
    return winner, others[: judges.policy.alternates_max]

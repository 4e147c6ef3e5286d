"""Filters and weighers, and the registry that decisions take them from.

A filter takes the hosts that are left (``Candidates``) and gives those that pass; a weigher gives
each of them a raw value. Both see all hosts at once: most have nothing to say about most requests,
and then cost nothing at any number of hosts; the others should ask what the candidates answer by
a column, and look at each host only where nothing else helps. Whatever a user wrote (properties,
hints) is to be read once for a request, never once for a host. Both are pure: what they judge by
is in the ``Question``.

The registry is filled by imports (ours) and by entry points (the groups ``chronova.filters`` and
``chronova.weighers``), which the scheduler's process loads at its start, before any decision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from commands.decision import View
from commands.fleet.policy import Policy
from commands.lookup import lookup
from events.fleet.host import Host
from events.fleet.host_aggregate import HostAggregate
from events.fleet.request import RequestSpec, Resources

if TYPE_CHECKING:  # numpy is for the process that places servers, not for all that know a command
    from commands.fleet.candidates import Candidates

MULTIPLIER_SUFFIX = "_weight_multiplier"
MULTIPLIER_MAX = 1e12
"""An aggregate's multiplier beyond it is none, as what is no number: scores stay finite."""

_with_multiplier = lookup(
    "host_aggregate.by_multiplier",
    "host_aggregate",
    lambda aggregate: [key for key in aggregate.metadata if key.endswith(MULTIPLIER_SUFFIX)],
)


class Question:
    """What is asked about the hosts: one server's needs and the fleet around it.

    ``host_of(server_id)`` is the host whose room a server holds, or None.
    """

    def __init__(
        self,
        spec: RequestSpec,
        project_id: str,
        resources: Resources,
        view: View,
        host_of: Callable[[str], str | None],
        policy: Policy,
    ) -> None:
        self.spec = spec
        self.project_id = project_id
        self.resources = resources
        self.host_of = host_of
        self.policy = policy
        self._view = view
        self._aggregates: dict[tuple[str, ...], list[HostAggregate]] = {}

    def aggregates_of(self, host: Host) -> Sequence[HostAggregate]:
        """The aggregates that a host is in."""
        known = self._aggregates.get(host.aggregates)
        if known is None:
            found = (self._view.get("host_aggregate", id) for id in host.aggregates)
            known = [aggregate for aggregate in found if aggregate is not None]
            self._aggregates[host.aggregates] = known
        return known

    def metadata_values(self, host: Host, key: str) -> list[str]:
        """The values that the host's aggregates have for a metadata key."""
        return [
            aggregate.metadata[key]
            for aggregate in self.aggregates_of(host)
            if key in aggregate.metadata
        ]

    def multipliers(self, option: str, candidates: Candidates) -> Mapping[tuple[str, ...], float]:
        """The multiplier that a host's aggregates set for a weigher, the least of several, by the
        host's ``aggregates``; empty when no host has one."""
        if not _with_multiplier(self._view, option):
            return {}
        found: dict[tuple[str, ...], float] = {}
        for host in candidates.memberships:
            values = map(_multiplier, self.metadata_values(host, option))
            own = [value for value in values if value is not None]
            if own:
                found[host.aggregates] = min(own)
        return found

    def hosts_of(self, server_ids: Sequence[str]) -> dict[str, int]:
        """How many of these servers each host holds; hosts without any are missing."""
        counts: dict[str, int] = {}
        for server_id in server_ids:
            host = self.host_of(server_id)
            if host is not None:
                counts[host] = counts.get(host, 0) + 1
        return counts


def _multiplier(text: str) -> float | None:
    try:
        multiplier = float(text)
    except ValueError:
        return None
    return multiplier if math.isfinite(multiplier) and abs(multiplier) <= MULTIPLIER_MAX else None


Keep = Callable[[Any, Question], Any]
"""``keep(candidates, question)`` gives the ``Candidates`` that pass."""

Weigh = Callable[[Any, Question], Any]
"""``weigh(candidates, question)`` gives a number for each, in their order (a list or an array), or
None."""


class Filter(msgspec.Struct, frozen=True):
    """``once``: judged for the first server of a request only (what it judges by is the same for
    all of them)."""

    name: str
    keep: Keep
    once: bool = False


class Weigher(msgspec.Struct, frozen=True):
    """``weigh`` gives each host's raw value, or None when it has nothing to say.

    ``option`` is the name of its multiplier in settings and in aggregate metadata; ``floor``: raw
    values below 0 count as 0, and 0 is the low end of the scale.
    """

    name: str
    option: str
    weigh: Weigh
    multiplier: float = 1.0
    floor: bool = False


FILTERS: dict[str, Filter] = {}
"""Every known filter by name."""

WEIGHERS: dict[str, Weigher] = {}
"""Every known weigher by name, in the order in which they were registered."""


def as_filter(name: str, once: bool = False) -> Callable[[Keep], Filter]:
    """Make a function a filter and register it."""

    def make(keep: Keep) -> Filter:
        return register_filter(Filter(name, keep, once))

    return make


def as_weigher(
    name: str, option: str, multiplier: float = 1.0, floor: bool = False
) -> Callable[[Weigh], Weigher]:
    """Make a function a weigher and register it."""

    def make(weigh: Weigh) -> Weigher:
        return register_weigher(Weigher(name, option, weigh, multiplier, floor))

    return make


def register_filter(filter: Filter) -> Filter:
    """Make a filter known. Raises ``ValueError`` when its name is another one's."""
    if FILTERS.setdefault(filter.name, filter) != filter:
        raise ValueError(f"two filters are called {filter.name}")
    return filter


def register_weigher(weigher: Weigher) -> Weigher:
    """Make a weigher known. Raises ``ValueError`` when its name is another one's."""
    if WEIGHERS.setdefault(weigher.name, weigher) != weigher:
        raise ValueError(f"two weighers are called {weigher.name}")
    return weigher


class Judges(msgspec.Struct, frozen=True):
    """The filters and weighers that decide, with the policy they follow."""

    policy: Policy
    filters: tuple[Filter, ...]
    weighers: tuple[tuple[Weigher, float], ...]
    fingerprint: bytes
    """Hash of all that could make other judges decide otherwise."""


_enabled: list[Judges] = []


def enable(policy: Policy) -> Judges:
    """Have these judges decide from now on (set once, at start). Raises as ``judges``."""
    _enabled[:] = [judges(policy)]
    return _enabled[0]


def enabled() -> Judges:
    """The judges that decide; Nova's defaults unless others were enabled."""
    return _enabled[0] if _enabled else enable(Policy())


def judges(policy: Policy) -> Judges:
    """The judges that a policy names. Raises ``ValueError`` for a name that nothing has.

    A weigher with a multiplier of 0 stays: an aggregate may override it.
    """
    unknown = [name for name in policy.enabled_filters if name not in FILTERS]
    if unknown:
        raise ValueError(f"enabled_filters: no filter is called {', '.join(unknown)}")
    names = WEIGHERS if policy.enabled_weighers is None else policy.enabled_weighers
    unknown = [name for name in names if name not in WEIGHERS]
    if unknown:
        raise ValueError(f"enabled_weighers: no weigher is called {', '.join(unknown)}")
    options = {weigher.option for weigher in WEIGHERS.values()}
    unknown = [option for option in policy.multipliers if option not in options]
    if unknown:
        raise ValueError(f"multipliers: no weigher has the option {', '.join(unknown)}")
    weighers = tuple(
        (weigher, policy.multipliers.get(weigher.option, weigher.multiplier))
        for weigher in (WEIGHERS[name] for name in names)
    )
    told = (policy, [(weigher.name, multiplier) for weigher, multiplier in weighers])
    return Judges(
        policy,
        tuple(FILTERS[name] for name in policy.enabled_filters),
        weighers,
        hashlib.sha256(msgspec.json.encode(told, order="deterministic")).digest(),
    )

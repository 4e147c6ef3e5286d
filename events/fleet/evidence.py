"""Why the scheduler decided as it did: kept with each claim and each refusal.

Bounded: counts for each judgement and scores of the few best hosts, however many hosts there are.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.message import Amount, Large


class FilterCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many hosts one filter left."""

    filter: Annotated[str, "Name of the filter, e.g. ComputeFilter."]
    remaining: Annotated[Amount, "Hosts that passed this filter and all before it."]


class WeigherScale(msgspec.Struct, frozen=True, kw_only=True):
    """How one weigher was applied."""

    weigher: Annotated[str, "Name of the weigher, e.g. RAMWeigher."]
    multiplier: Annotated[float, "Its multiplier (before overrides by aggregates)."]
    low: Annotated[float, "The raw value that counts as 0."]
    high: Annotated[float, "The raw value that counts as 1; equal to low: all count as 0."]


class HostScore(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best hosts, with its scores in the order of ``Evidence.weighers``."""

    host: Annotated[str, "Name of the compute host."]
    score: Annotated[float, "Sum of multiplier x normalised value."]
    raw: Annotated[list[float], "Raw value of each weigher."]
    normalised: Annotated[list[float], "Value of each weigher between 0 and 1."]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that led to one claim."""

    hosts_total: Annotated[Amount, "Hosts there were."]
    filtered: Annotated[list[FilterCount], "What each filter left, in the order they ran."]
    weighers: Annotated[list[WeigherScale], "Weighers that had something to weigh."]
    best: Annotated[list[HostScore], "The best hosts, best first; the winner is among them."]
    tied: Annotated[Amount, "Hosts with the highest score."]
    seed: Annotated[Large, "Seed of every random choice."]
    draw: Annotated[Amount, "Place of this server in its request, from 0."]
    spec_fingerprint: Annotated[str, "Hash of request spec, exclusions and policy."]

"""Hosts as placement shows them: resource providers with inventories, usages, traits.

A provider is a host's compute node. Its generation counts the host's events, so it rises with
whatever changes its inventories, traits or usages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson
from sqlalchemy import Connection, select

from events.fleet.host import Host
from events.state_codec import decode_state
from projections.fleet.allocations import ALLOCATIONS
from projections.fleet.host_aggregates import list_aggregates
from projections.fleet.hosts import HOSTS

DISABLED = "COMPUTE_STATUS_DISABLED"
"""Trait of nodes whose service is disabled."""

H, A = HOSTS.c, ALLOCATIONS.c


class ProviderRow(msgspec.Struct, frozen=True):
    """A resource provider. ``aggregates``: UUIDs of the host aggregates that the host is in."""

    id: str
    name: str
    generation: int
    host: Host
    aggregates: Sequence[str]

    @property
    def traits(self) -> list[str]:
        """Its traits, sorted."""
        more = {DISABLED} if self.host.disabled else set()
        return sorted({*self.host.traits, *more})

    @property
    def usages(self) -> dict[str, int]:
        """What is allocated of each class that it has."""
        return {name: self.host.used(name) for name in self.host.inventories}

    def fits(self, resources: Mapping[str, int]) -> bool:
        """Whether these amounts could be allocated now."""
        for name, amount in resources.items():
            inventory = self.host.inventories.get(name)
            if inventory is None or amount > inventory.unit_max:
                return False
            if self.host.used(name) + amount > inventory.capacity:
                return False
        return True


class ConsumerRow(msgspec.Struct, frozen=True):
    """What a server holds, of which provider. ``generation`` counts what was written of it."""

    server_id: str
    provider_id: str
    provider_generation: int
    generation: int
    project_id: str
    user_id: str
    resources: Mapping[str, int]


def list_providers(connection: Connection) -> list[ProviderRow]:
    """All providers, by the number of their hosts."""
    return _providers(connection, select(H.node_id, H.hostname, H.sequence, H.state))


def find_provider(connection: Connection, id: str) -> ProviderRow | None:
    """The provider with that uuid."""
    statement = select(H.node_id, H.hostname, H.sequence, H.state).where(H.node_id == id)
    found = _providers(connection, statement)
    return found[0] if found else None


def _providers(connection: Connection, statement: Any) -> list[ProviderRow]:
    member_of: dict[str, list[str]] = {}
    for aggregate in list_aggregates(connection):
        for host in aggregate.hosts:
            member_of.setdefault(host, []).append(aggregate.id)
    rows = connection.execute(statement.where(~H.deleted).order_by(H.number))
    providers = []
    for id, name, generation, state in rows:
        decoded = decode_state(state, Host)
        aggregates = member_of.get(decoded.host, ())
        providers.append(ProviderRow(id, name, generation, decoded, aggregates))
    return providers


_HELD = select(A.id, H.node_id, H.sequence, A.sequence, A.project_id, A.user_id, A.resources).join(
    HOSTS, H.id == A.host
)


def find_consumer(connection: Connection, server_id: str) -> ConsumerRow | None:
    """What a server holds; None for nothing."""
    one = connection.execute(_HELD.where(A.id == server_id)).first()
    return None if one is None else ConsumerRow(*one[:6], orjson.loads(one[6]))


def consumers_of(connection: Connection, provider_id: str) -> list[ConsumerRow]:
    """All that is held of a provider, by server."""
    rows = connection.execute(_HELD.where(H.node_id == provider_id).order_by(A.id))
    return [ConsumerRow(*one[:6], orjson.loads(one[6])) for one in rows]


class Usage(msgspec.Struct, frozen=True):
    """What a project's (or one of its users') servers hold together, and how many they are."""

    resources: Mapping[str, int]
    consumers: int


def usage_of(connection: Connection, project_id: str, user_id: str | None = None) -> Usage:
    """The sum over all allocations of a project, perhaps only those of one user."""
    statement = select(A.resources).where(A.project_id == project_id, A.host.is_not(None))
    if user_id is not None:
        statement = statement.where(A.user_id == user_id)
    held = [orjson.loads(text) for text in connection.execute(statement).scalars()]
    return Usage(_sum(held), len(held))


def _sum(held: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for resources in held:
        total.update(resources)
    return dict(sorted(total.items()))

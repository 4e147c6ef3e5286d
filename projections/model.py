"""The read model: all tables of a build, what fills them, and the version of it all.

The version is a hash over what the code declares: tables, columns and indexes, the ``version`` of
each projected aggregate, the shape of its state, the rules of the audit. A build is made by one
version and read by the same one; another version builds anew.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType

import msgspec
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

import projections
from events.aggregate import AGGREGATES, Aggregate
from events.state_codec import state_shape
from events.topics import DOMAINS
from projections.actions import ACTIONS_VERSION
from projections.aside import SET_ASIDE, WAITING
from projections.table import FOLLOWED, METADATA, PROJECTED, Followed, Projected

ENGINE_VERSION = 2
"""Raise whenever the projector itself writes something else than before."""

POSITIONS = Table(
    "positions",
    MetaData(),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("build", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("term", BigInteger),
    Column("hash", Text, nullable=False),
    Column("revision", Integer, nullable=False),
)
"""How far a build is: the next offset to read, the position (``ce_position``) reached, the term
and the running hash there. ``build`` is the build's number while it is followed, 0 afterwards.
``revision``: see ``builds.Place``."""


class ReadModel(msgspec.Struct, frozen=True):
    """What a build consists of."""

    metadata: MetaData
    projected: Mapping[str, Projected]
    aggregates: Mapping[str, Aggregate]
    followed: Mapping[str, Followed] = {}
    domains: tuple[str, ...] = DOMAINS

    @property
    def tables(self) -> list[Table]:
        """All tables, the positions among them."""
        return [*self.metadata.sorted_tables, SET_ASIDE, WAITING, POSITIONS]

    def version(self) -> str:
        """The version, 16 hex digits."""
        lines = [f"engine {ENGINE_VERSION} actions {ACTIONS_VERSION}"]
        for table in self.tables:
            lines += sorted(f"{table.name}.{c.name} {c.type!r} {c.nullable}" for c in table.columns)
            lines += sorted(_index(table, index) for index in table.indexes)
        for name, projected in sorted(self.projected.items()):
            shape = state_shape(self.aggregates[name].state)
            lines.append(f"{name} {projected.table.name} {projected.version} {shape}")
        lines += [f"{topic} {f.table.name}" for topic, f in sorted(self.followed.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _index(table: Table, index: object) -> str:
    columns = [str(c) for c in getattr(index, "expressions", ())]
    options = getattr(index, "dialect_kwargs", {})
    return f"{table.name} {columns} " + " ".join(f"{k}={v}" for k, v in sorted(options.items()))


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


@cache
def read_model() -> ReadModel:
    """The read model of this installation: every domain's tables and the audit's."""
    for module in ("events.journal", "events.outcome"):
        importlib.import_module(module)
    for domain in DOMAINS:
        _import_all(importlib.import_module(f"events.{domain}"))
    _import_all(projections)
    return ReadModel(METADATA, PROJECTED, AGGREGATES, FOLLOWED)

"""The hosts that are left for a server, as filters narrow them and weighers weigh them.

Whatever narrows gives other candidates; none are ever changed. Their order is that of their names.
The cheap questions compare a column or are asked once for all hosts that are alike; ``each``
and ``hosts`` look at every host that is left, which costs a microsecond or more for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from commands.fleet.table import HostTable, Mask, Numbers
from events.fleet.host import Host

Test = Callable[[Host], bool]


class Candidates:
    """Some rows of the table of hosts, valid while no host joins or leaves the fleet."""

    def __init__(self, table: HostTable, mask: Mask, count: int | None = None) -> None:
        self._table = table
        self._mask = mask
        self._count = int(np.count_nonzero(mask)) if count is None else count

    @staticmethod
    def everyone(table: HostTable) -> Candidates:
        """All hosts of the fleet."""
        return Candidates(table, np.ones(len(table), dtype=np.bool_), len(table))

    def __len__(self) -> int:
        return self._count

    # ------------------------------------------------------------ reading

    @cached_property
    def _rows(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self._mask)

    def host(self, place: int) -> Host:
        """One of them, by its place among them."""
        return self._table.hosts[int(self._rows[place])]

    @property
    def hosts(self) -> list[Host]:
        """All of them, in their order."""
        known = self._table.hosts
        return [known[row] for row in self._rows.tolist()]

    def column(self, name: str) -> Numbers:
        """A number of each of them, in their order: one of ``table.NUMBERS``."""
        return self._table.column(name)[self._rows]

    def counted(self, counts: Mapping[str, int]) -> Numbers:
        """What ``counts`` has for each of them by name, 0 where it has nothing."""
        numbers = np.zeros(len(self._table))
        for name, count in counts.items():
            if (row := self._table.row(name)) is not None:
                numbers[row] = count
        return numbers[self._rows]

    def by_membership(self, value: Callable[[Host], float]) -> Numbers:
        """What ``value`` says of the aggregates of each of them, in their order."""
        values: Numbers = self._table.by_membership(value, np.float64)[self._rows]
        return values

    @property
    def memberships(self) -> Iterable[Host]:
        """A host of the fleet, not only of these, for each set of aggregates that any is in."""
        return self._table.memberships.samples.values()

    # ---------------------------------------------------------- narrowing

    def _where(self, mask: Mask) -> Candidates:
        return Candidates(self._table, self._mask & mask)

    def none(self) -> Candidates:
        """No host."""
        return Candidates(self._table, np.zeros_like(self._mask), 0)

    def enabled(self) -> Candidates:
        """Those that no operator took out of scheduling."""
        return self._where(self._table.enabled)

    def ready(self) -> Candidates:
        """Those that are enabled, up and not declared dead."""
        return self._where(self._table.ready)

    def at_least(self, column: str, amount: float) -> Candidates:
        """Those whose number in a column is no less."""
        return self._where(self._table.column(column) >= amount)

    def below(self, column: str, limit: float | Callable[[Host], float]) -> Candidates:
        """Those whose number in a column is less; a function gives the limit of a host's
        aggregates."""
        if callable(limit):
            limits = self._table.by_membership(limit, np.float64)
            return self._where(self._table.column(column) < limits)
        return self._where(self._table.column(column) < limit)

    def only(self, names: Iterable[str]) -> Candidates:
        """Those with one of these names."""
        return self._where(self._named(names))

    def without(self, names: Iterable[str]) -> Candidates:
        """Those with none of these names."""
        return self._where(~self._named(names))

    def _named(self, names: Iterable[str]) -> Mask:
        mask = np.zeros(len(self._table), dtype=np.bool_)
        rows: list[Any] = [self._table.row(name) for name in names]
        mask[[row for row in rows if row is not None]] = True
        return mask

    def of_kind(self, holds: Test) -> Candidates:
        """Those for whose kind it holds: it may look at type, version, CPU and guests of the
        hypervisor, at the traits, and at which resource classes there are."""
        return self._where(self._table.by_kind(holds, np.bool_))

    def by_aggregates(self, holds: Test) -> Candidates:
        """Those for which it holds: it may look at the aggregates that a host is in."""
        return self._where(self._table.by_membership(holds, np.bool_))

    def each(self, holds: Test) -> Candidates:
        """Those for which it holds: it may look at anything, and is called for every one left."""
        mask = self._mask.copy()
        known = self._table.hosts
        mask[[row for row in self._rows.tolist() if not holds(known[row])]] = False
        return Candidates(self._table, mask)

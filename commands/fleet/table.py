"""The index that places servers: all hosts as a table of columns, one row for each host.

A judgement about 10,000 hosts is one comparison of a column, some microseconds, where a pass over
their states in Python takes a millisecond. Facts that many hosts share (the hypervisor, traits;
the aggregates they are in) are numbered, so that they are judged once for each that differs.

Rows are in the order of the hosts' names. The table holds the committed states; ``show`` lays
the states of the batch that is being decided over them, and takes them off when they are gone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from events.fleet.host import Host
from events.whole import whole

NUMBERS = (
    "largest_vcpus",
    "largest_ram_mib",
    "largest_disk_gib",
    "free_vcpus",
    "free_ram_mib",
    "free_disk_mib",
    "servers",
    "hypervisor_version",
)
"""Columns of numbers, as ``float64``: exact up to 2^53, which no host's amounts exceed
(``events.fleet.inventory.unsound``)."""

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_ROWS_AT_FIRST = 64
_ABSENT: Any = object()


class Alike:
    """Hosts that are the same in some respect, by a number for each value of ``key``."""

    def __init__(self, key: Callable[[Host], Hashable]) -> None:
        self.key = key
        self.samples: dict[int, Host] = {}
        """By number: one of the hosts; only what ``key`` reads of it holds for all of them."""
        self._numbers: dict[Hashable, int] = {}
        self._counts: dict[int, int] = {}
        self._free: list[int] = []

    def enter(self, host: Host) -> int:
        """The number of this host's like."""
        key = self.key(host)
        number = self._numbers.get(key)
        if number is None:
            number = self._free.pop() if self._free else len(self._numbers)
            self._numbers[key] = number
            self.samples[number] = host
            self._counts[number] = 0
        self._counts[number] += 1
        return number

    def leave(self, number: int) -> None:
        """One host fewer has that number."""
        self._counts[number] -= 1
        if not self._counts[number]:
            del self._counts[number], self._numbers[self.key(self.samples.pop(number))]
            self._free.append(number)

    def spread(
        self, value: Callable[[Host], Any], numbers: npt.NDArray[np.int32], type: Any
    ) -> Any:
        """``value`` of each row, given the rows' numbers; called once for each number."""
        values = np.zeros(len(self.samples) + len(self._free), dtype=type)
        for number, sample in self.samples.items():
            values[number] = value(sample)
        return values[numbers]


def _kind(host: Host) -> Hashable:
    facts = host.hypervisor
    return (
        facts.type,
        facts.version,
        facts.cpu_info,
        tuple(facts.supported_instances),
        tuple(host.traits),
        tuple(host.inventories),
    )


class HostTable:
    """Every host that is part of the fleet. An ``Index`` of the aggregate ``host``."""

    def __init__(self, states: Mapping[str, Host]) -> None:
        self._committed = dict(states)
        self._shown: dict[str, Host | None] = {}
        self._names: list[str] = []
        self.hosts: list[Host] = []
        self.kinds = Alike(_kind)
        self.memberships = Alike(lambda host: host.aggregates)
        self._numbers = np.zeros((len(NUMBERS), _ROWS_AT_FIRST))
        self._flags = np.zeros((2, _ROWS_AT_FIRST), dtype=np.bool_)
        self._alike = np.zeros((2, _ROWS_AT_FIRST), dtype=np.int32)
        for name in sorted(states):
            self._put(name, states[name])

    def __len__(self) -> int:
        return len(self._names)

    def row(self, name: str) -> int | None:
        """The row of a host; None when it is not part of the fleet."""
        row = bisect_left(self._names, name)
        return row if row < len(self._names) and self._names[row] == name else None

    def column(self, name: str) -> Numbers:
        """One of ``NUMBERS``, by row. Not to be changed, nor kept."""
        column: Numbers = self._numbers[NUMBERS.index(name), : len(self._names)]
        return column

    @property
    def enabled(self) -> Mask:
        """Which hosts are in scheduling, by row."""
        enabled: Mask = self._flags[0, : len(self._names)]
        return enabled

    @property
    def ready(self) -> Mask:
        """Which hosts are in scheduling, up and not declared dead, by row."""
        ready: Mask = self._flags[1, : len(self._names)]
        return ready

    def by_kind(self, value: Callable[[Host], Any], type: Any) -> Any:
        """What ``value`` says of hypervisor, traits and resource classes, by row."""
        return self.kinds.spread(value, self._alike[0, : len(self._names)], type)

    def by_membership(self, value: Callable[[Host], Any], type: Any) -> Any:
        """What ``value`` says of a host's aggregates, by row."""
        return self.memberships.spread(value, self._alike[1, : len(self._names)], type)

    # ------------------------------------------------------------- upkeep

    def replace(self, id: str, before: Host | None, after: Host | None) -> None:
        """Take over a committed state."""
        if after is None:
            self._committed.pop(id, None)
        else:
            self._committed[id] = after
        if id not in self._shown:
            self._put(id, after)
        elif self._shown[id] is after:
            del self._shown[id]

    @whole
    def show(self, changed: Mapping[str, Host | None]) -> None:
        """Lay these states, and no others, over the committed ones."""
        for id in [id for id in self._shown if id not in changed]:
            del self._shown[id]
            self._put(id, self._committed.get(id))
        for id, state in changed.items():
            self.show_also(id, state)

    @whole
    def show_also(self, id: str, state: Host | None) -> None:
        """Lay one more state over the committed ones."""
        if self._shown.get(id, _ABSENT) is not state:
            self._shown[id] = state
            self._put(id, state)

    def _put(self, name: str, host: Host | None) -> None:
        row = bisect_left(self._names, name)
        known = row < len(self._names) and self._names[row] == name
        if host is None or host.deleted:
            if known:
                self._remove(row)
            return
        if known:
            before = self.hosts[row]
            self.hosts[row] = host
            self._number(row, host, before)
        else:
            self._insert(row, name, host)
        self._flags[:, row] = (not host.disabled, host.alive and not host.disabled)
        self._numbers[:, row] = (
            host.largest_vcpus,
            host.largest_ram_mib,
            host.largest_disk_gib,
            host.free_vcpus,
            host.free_ram_mib,
            host.free_disk_mib,
            host.servers,
            host.hypervisor.version,
        )

    def _number(self, row: int, host: Host, before: Host) -> None:
        """Number the host's likes; a claim changes neither, and is seen not to by identity."""
        if (
            host.hypervisor is not before.hypervisor
            or host.traits is not before.traits
            or host.inventories is not before.inventories
        ):
            entered = self.kinds.enter(host)
            self.kinds.leave(int(self._alike[0, row]))
            self._alike[0, row] = entered
        if host.aggregates != before.aggregates:
            entered = self.memberships.enter(host)
            self.memberships.leave(int(self._alike[1, row]))
            self._alike[1, row] = entered

    def _insert(self, row: int, name: str, host: Host) -> None:
        count = len(self._names)
        self._names.insert(row, name)
        self.hosts.insert(row, host)
        for array in ("_numbers", "_flags", "_alike"):
            rows = getattr(self, array)
            if count == rows.shape[1]:
                rows = np.concatenate((rows, np.zeros_like(rows)), axis=1)
                setattr(self, array, rows)
            rows[:, row + 1 : count + 1] = rows[:, row:count]
        self._alike[:, row] = (self.kinds.enter(host), self.memberships.enter(host))

    def _remove(self, row: int) -> None:
        count = len(self._names)
        self.kinds.leave(int(self._alike[0, row]))
        self.memberships.leave(int(self._alike[1, row]))
        del self._names[row], self.hosts[row]
        for rows in (self._numbers, self._flags, self._alike):
            rows[:, row : count - 1] = rows[:, row + 1 : count]

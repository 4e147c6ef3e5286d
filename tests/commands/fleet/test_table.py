"""The table of hosts is what a new one of the same states would be, whatever happened to it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from commands.fleet.table import NUMBERS, HostTable
from events.fleet.host import Host
from tests.commands.fleet.fleet import Fleet, register

NAMES = [f"h{n}" for n in range(8)]
KNOWN: dict[str, Host] = dict(
    Fleet().when(*(register(name, traits=["A"]) for name in NAMES)).all("host")
)

states = st.builds(
    lambda name, changes: (name, msgspec.structs.replace(KNOWN[name], **changes)),
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {},
        optional={
            "servers": st.integers(0, 9),
            "free_ram_mib": st.integers(-5, 5),
            "disabled": st.booleans(),
            "up": st.booleans(),
            "forced_down": st.booleans(),
            "deleted": st.booleans(),
            "traits": st.sampled_from([["A"], ["B"], []]),
            "aggregates": st.sampled_from([(), ("x",), ("x", "y")]),
        },
    ),
)
batches = st.lists(
    st.tuples(st.lists(states, max_size=6), st.sampled_from(["committed", "dropped"])), max_size=8
)


def shown(table: HostTable) -> list[Any]:
    """All that a decision can see."""
    return [
        [host.host for host in table.hosts],
        [table.column(name).tolist() for name in NUMBERS],
        table.enabled.tolist(),
        table.ready.tolist(),
        table.by_kind(lambda host: len(host.traits), np.int64).tolist(),
        table.by_membership(lambda host: len(host.aggregates), np.int64).tolist(),
        sorted(sample.aggregates for sample in table.memberships.samples.values()),
        [table.row(name) for name in NAMES],
    ]


@given(begin=st.lists(states, max_size=5), batches=batches)
def test_as_a_new_one(begin: list[Any], batches: list[Any]) -> None:
    committed: dict[str, Host] = dict(begin)
    table = HostTable(committed)
    for batch, fate in batches:
        changed: dict[str, Host | None] = {}
        for name, host in batch:
            changed[name] = host
            table.show(changed)
            assert shown(table) == shown(HostTable(_live(committed, changed)))
        if fate == "committed":
            for name, after in changed.items():
                table.replace(name, committed.get(name), after)
            committed = _live(committed, changed)
        table.show({})
        assert shown(table) == shown(HostTable(committed))


def _live(committed: dict[str, Host], changed: dict[str, Host | None]) -> dict[str, Host]:
    return {name: host for name, host in (committed | changed).items() if host is not None}


def test_it_grows_and_shrinks() -> None:
    names = [f"host-{n:03}" for n in range(200)]
    fleet = Fleet().when(*(register(name) for name in reversed(names)))
    table = HostTable({})
    for name in reversed(names):
        table.replace(name, None, fleet.host(name))
    assert [host.host for host in table.hosts] == names
    for name in names[::2]:
        table.replace(name, fleet.host(name), None)
    assert shown(table) == shown(HostTable({name: fleet.host(name) for name in names[1::2]}))

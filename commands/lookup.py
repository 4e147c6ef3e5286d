"""Find states by something other than their id: by name, by owner, by what they belong to.

    named = lookup("flavor.by_name", "flavor", lambda flavor: (flavor.name,))
    ...
    if named(view, command.name): refuse(...)

The index holds the committed states; each question corrects its answer by the few states that
were changed since. Ids are in their own order, so that an answer does not depend on how the
partition came to be.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from commands.decision import View, register_index

Keys = Callable[[Any], Iterable[Hashable]]
"""What a state can be found by."""


class Lookup:
    """An index of ids by key."""

    def __init__(self, keys: Keys, states: Mapping[str, Any]) -> None:
        self.keys = keys
        self._ids: dict[Hashable, set[str]] = {}
        for id, state in states.items():
            self.replace(id, None, state)

    def replace(self, id: str, before: Any | None, after: Any | None) -> None:
        """Keep up with one state."""
        old: frozenset[Hashable] = frozenset() if before is None else frozenset(self.keys(before))
        new: frozenset[Hashable] = frozenset() if after is None else frozenset(self.keys(after))
        for key in old - new:
            ids = self._ids[key]
            ids.discard(id)
            if not ids:
                del self._ids[key]
        for key in new - old:
            self._ids.setdefault(key, set()).add(id)

    def ids(self, key: Hashable, changed: Mapping[str, Any | None]) -> list[str]:
        """The ids of the states that have this key, given those that were changed since."""
        held = self._ids.get(key, ())
        if not changed:
            return sorted(held)
        found = [id for id in held if id not in changed]
        found += [
            id for id, state in changed.items() if state is not None and key in self.keys(state)
        ]
        return sorted(found)


def lookup(name: str, aggregate: str, keys: Keys) -> Callable[[View, Hashable], list[str]]:
    """Register an index; what it returns finds the ids of the states with a key."""
    register_index(name, aggregate, lambda states: Lookup(keys, states))

    def find(view: View, key: Hashable) -> list[str]:
        index: Lookup = view.index(name)
        return index.ids(key, view.changed(aggregate))

    return find

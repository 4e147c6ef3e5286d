"""The connections of a worker by what becomes of them, and which is closed where room runs short.

Room is a number of connections, or of bytes. What runs short is taken from the network address
that holds most of it: who opens many connections closes its own. Of that address's connections the
first to go are those whose client loses least (the order of ``State``), and of these the oldest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any

from api.http.address import client_of

SHARED_FROM = 0.75
"""From this part of a bound on, each address has its share of what is worked on, and no more."""

Weigh = Callable[[Any], int]
"""How much of what is short a connection holds."""


class State(Enum):
    """What becomes of a connection, in the order in which they are closed."""

    KEPT = "kept alive"
    """It was answered; its client may ask again."""
    LINGERING = "lingering"
    """It was answered for the last time; its client has to close."""
    UNREAD = "unread"
    """Its client has not read all of the answer."""
    ARRIVING = "arriving"
    """Its request is awaited, or has come in part."""
    WORKED_ON = "worked on"
    """Its request waits for a thread or has one; not to be closed."""


CLOSABLE = tuple(state for state in State if state is not State.WORKED_ON)


def one(_: Any) -> int:
    """Weigh a connection as a connection."""
    return 1


class Crowd:
    """The connections of one worker. Its loop alone calls this."""

    def __init__(self) -> None:
        self._by_state: dict[State, dict[Any, str]] = {state: {} for state in State}
        """Connections with their network address, the oldest first."""
        self._states: dict[Any, State] = {}
        self._closable: dict[str, int] = {}
        """How many connections of each network address may be closed; none is zero."""

    def move(self, conn: Any, state: State) -> None:
        """``conn`` (with gunicorn's ``client``, a socket address) is in ``state`` from now on."""
        self.forget(conn)
        network = network_of(conn.client)
        self._states[conn] = state
        self._by_state[state][conn] = network
        if state is not State.WORKED_ON:
            self._closable[network] = self._closable.get(network, 0) + 1

    def forget(self, conn: Any) -> State | None:
        """Take out ``conn`` and return the state that it was in; None when it was in none."""
        state = self._states.pop(conn, None)
        if state is None:
            return None
        network = self._by_state[state].pop(conn)
        if state is not State.WORKED_ON:
            left = self._closable.pop(network) - 1
            if left:
                self._closable[network] = left
        return state

    def state_of(self, conn: Any) -> State | None:
        """The state of ``conn``; None when it is in none."""
        return self._states.get(conn)

    def first(self, but: Any = None) -> Any:
        """Return the connection that is to be closed first where there are too many; None when
        there is none, or only ``but``."""
        most = max(self._closable.values(), default=0)
        for state in CLOSABLE:
            for conn, network in self._by_state[state].items():
                if conn is not but and self._closable[network] == most:
                    return conn
        return None

    def heaviest(self, weigh: Weigh, state: State) -> Any:
        """Return the connection in ``state`` that is to be closed first where bytes run short: the
        oldest that holds any, of the network address that holds most. None when there is none."""
        held = self._by_network(weigh, state)
        most = max(held.values(), default=0)
        for conn, network in self._by_state[state].items():
            if held[network] == most and weigh(conn) > 0:
                return conn
        return None

    def total(self, weigh: Weigh, state: State) -> int:
        """The weight of all connections in ``state``."""
        return sum(map(weigh, self._by_state[state]))

    def over_share(self, conn: Any, most: float, weigh: Weigh = one) -> bool:
        """Whether ``conn`` may not be worked on: ``most`` is reached by what is, or three quarters
        of it are and the network address of ``conn`` holds its equal share already."""
        total = self.total(weigh, State.WORKED_ON)
        if total < SHARED_FROM * most:
            return False
        held = self._by_network(weigh, State.WORKED_ON)
        return total >= most or held[network_of(conn.client)] >= total / len(held)

    def _by_network(self, weigh: Weigh, state: State) -> Counter[str]:
        held: Counter[str] = Counter()
        for conn, network in self._by_state[state].items():
            held[network] += weigh(conn)
        return held


def network_of(client: Any) -> str:
    """Return what counts as one client of a socket address; empty for one that is no IP's."""
    return client_of(str(client[0])) if isinstance(client, tuple) else ""

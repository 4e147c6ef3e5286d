"""Which connection is closed where room runs short, and who is refused more work."""

from __future__ import annotations

import pytest

from chronova.roles.crowd import CLOSABLE, Crowd, State, network_of


class Conn:
    """A connection of gunicorn's, as far as it matters here."""

    def __init__(self, host: str, held: int = 0) -> None:
        self.client = (host, 1)
        self.held = held


def held(conn: Conn) -> int:
    return conn.held


def crowd(*states: tuple[Conn, State]) -> Crowd:
    made = Crowd()
    for conn, state in states:
        made.move(conn, state)
    return made


def test_of_one_address_go_kept_alive_ones_then_lingering_then_unread_then_arriving() -> None:
    all_of_it = [Conn("a") for _ in CLOSABLE]
    made = crowd(*reversed(list(zip(all_of_it, CLOSABLE, strict=True))))
    gone: list[Conn] = []
    while (conn := made.first()) is not None:
        assert made.forget(conn) is CLOSABLE[len(gone)]
        gone.append(conn)
    assert gone == all_of_it


def test_the_oldest_of_the_address_that_holds_most_goes_first() -> None:
    lone, old, new = Conn("a"), Conn("b"), Conn("b")
    made = crowd((lone, State.KEPT), (old, State.ARRIVING), (new, State.ARRIVING))
    assert made.first() is old


def test_what_is_worked_on_does_not_count_against_its_address() -> None:
    busy, idle, old = [Conn("a") for _ in range(3)], Conn("a"), Conn("b")
    made = crowd((idle, State.KEPT), (old, State.ARRIVING), (Conn("b"), State.ARRIVING))
    for conn in busy:
        made.move(conn, State.ARRIVING)
        made.move(conn, State.WORKED_ON)
    assert made.first() is old


def test_what_changed_its_state_is_new_in_it() -> None:
    old, new = Conn("a"), Conn("a")
    made = crowd((old, State.KEPT), (new, State.KEPT))
    made.move(old, State.ARRIVING)
    made.move(old, State.KEPT)
    assert made.first() is new
    assert made.state_of(old) is State.KEPT


def test_what_just_came_and_what_is_worked_on_stays() -> None:
    new, busy = Conn("a"), Conn("a")
    made = crowd((new, State.ARRIVING), (busy, State.WORKED_ON))
    assert made.first(but=new) is None
    other = Conn("b")
    made.move(other, State.ARRIVING)
    assert made.first(but=new) is other


def test_bytes_are_taken_from_who_holds_most_of_them() -> None:
    many = [Conn("a", 10) for _ in range(5)]
    empty, large, larger = Conn("b"), Conn("b", 30), Conn("b", 90)
    made = crowd(*((conn, State.ARRIVING) for conn in (*many, empty, large, larger)))
    assert made.heaviest(held, State.ARRIVING) is large
    assert made.heaviest(held, State.UNREAD) is None
    assert made.total(held, State.ARRIVING) == 170


@pytest.mark.parametrize(
    ("by_host", "host", "over"),
    [
        ({"a": 74}, "a", False),
        ({"a": 75}, "a", True),
        ({"a": 75}, "b", False),
        ({"a": 60, "b": 20}, "b", False),
        ({"a": 40, "b": 40}, "b", True),
        ({"a": 99, "b": 1}, "c", True),
    ],
)
def test_from_three_quarters_on_an_address_has_its_share(
    by_host: dict[str, int], host: str, over: bool
) -> None:
    made = crowd(
        *((Conn(name), State.WORKED_ON) for name, count in by_host.items() for _ in range(count))
    )
    assert made.over_share(Conn(host), 100) is over


def test_an_address_is_a_network_where_one_client_has_all_of_it() -> None:
    assert network_of(("192.0.2.1", 1)) == "192.0.2.1"
    assert network_of(("::ffff:192.0.2.1", 1, 0, 0)) == "192.0.2.1"
    ours = network_of(("2001:db8:0:1::1", 1, 0, 0))
    assert network_of(("2001:db8:0:1:ffff::2", 1, 0, 0)) == ours
    assert network_of(("2001:db8:0:2::1", 1, 0, 0)) != ours
    assert network_of(("fe80::1%eth0", 1, 0, 2)) == network_of(("fe80::2%eth0", 1, 0, 2))
    assert network_of("") == network_of(b"") == ""

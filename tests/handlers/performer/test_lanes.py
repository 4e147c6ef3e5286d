from __future__ import annotations

from collections.abc import Callable

from commands.compute.power import StopGuest
from events.message import Context
from handlers.performer.lanes import Lanes
from handlers.performer.piece import Cancelled, Piece, Superseded


def piece(operation: int, subject: str = "s", host: str = "h", long: bool = False) -> Piece:
    work = StopGuest(
        server_id=subject, project_id="p", generation=1, operation=operation, grace_s=0
    )
    source = (f"compute.dispatch.{host}", 0)
    return Piece(source, operation, host, Context(id="i", time=0), work, long)


class Recorder:
    """Runs pieces; ``during`` is called while one is under way."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []
        self.may = True
        self.during: Callable[[Piece], object] = lambda piece: None
        self.lanes = Lanes(self.run, lambda: self.may, None, None)

    def run(self, piece: Piece) -> None:
        self.ran.append((piece.key[1], piece.offset))
        self.during(piece)


def test_what_waits_is_superseded_by_what_is_newer() -> None:
    one = Recorder()
    first, second = piece(1), piece(2)
    assert one.lanes.put([first, second]) == [first]
    one.lanes.start()
    assert one.ran == [("s", 2)]


def test_what_is_older_never_begins_also_when_it_comes_late() -> None:
    one = Recorder()
    one.lanes.put([piece(2)])
    one.lanes.start()
    late = piece(1)
    assert one.lanes.put([late]) == [late]
    one.lanes.start()
    assert one.ran == [("s", 2)]
    assert one.lanes.pending() == 0


def test_what_is_under_way_is_called_off_and_the_newer_one_follows() -> None:
    one = Recorder()
    reasons = []

    def during(running: Piece) -> None:
        if running.offset == 1:
            running.calling.on_off(lambda: reasons.append(running.calling.reason))
            assert one.lanes.put([piece(2)]) == []

    one.during = during
    one.lanes.put([piece(1)])
    one.lanes.start()
    assert one.ran == [("s", 1), ("s", 2)]
    assert reasons == [Superseded]


def test_the_same_subject_on_two_hosts_is_two_lanes() -> None:
    """A server's old guest is removed on one while it is built on the other."""
    one = Recorder()
    assert one.lanes.put([piece(1, host="a"), piece(2, host="b")]) == []
    one.lanes.start()
    assert one.ran == [("s", 1), ("s", 2)]


def test_nothing_begins_while_nothing_may() -> None:
    one = Recorder()
    one.may = False
    one.lanes.put([piece(1)])
    one.lanes.start()
    assert one.ran == []
    assert one.lanes.busy("h", "s")
    one.may = True
    one.lanes.start()
    assert one.ran == [("s", 1)]
    assert not one.lanes.busy("h", "s")


def test_a_lane_goes_on_after_a_defect() -> None:
    """What was queued for the server never ran again, and the offset stood still."""
    one = Recorder()

    def during(running: Piece) -> None:
        raise ValueError

    one.during = during
    one.lanes.put([piece(1)])
    try:
        one.lanes.start()
    except ValueError:
        one.during = lambda piece: None
    one.lanes.put([piece(2)])
    one.lanes.start()
    assert one.ran == [("s", 1), ("s", 2)]


def test_the_first_reason_to_call_off_counts() -> None:
    calling = piece(1).calling
    calling.off(Cancelled)
    calling.off(Superseded)
    assert calling.reason is Cancelled

"""What is bounded: an append, what waits in memory, and what is remembered."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from commands.compute.ping import Ping
from events import topics
from events.journal import Marked
from events.log.contract import Outgoing
from events.log.memory import Fault, Operation
from events.log.records import headers
from events.message import Context
from handlers.decider import Decider, draft, loop, partition
from handlers.decider.draft import Draft
from handlers.decider.inputs import Input
from handlers.decider.marks import MARKS
from handlers.decider.owned import BATCH_MAX, Owned
from handlers.decider.partition import REMEMBERED_US, Partition, Remembered
from tests.handlers.decider.site import CODEC, Site, settle


def batches(site: Site) -> list[int]:
    """How many events lie in each append."""
    sizes, size = [], 0
    for record in site.events():
        size += 1
        if MARKS in record.headers:
            sizes.append(size)
            size = 0
    return sizes


def deciding(site: Site) -> Decider:
    decider = site.decider()
    settle(decider)
    return decider


@pytest.mark.parametrize(("bytes_max", "sizes"), [(loop.BATCH_BYTES, [4]), (1, [1, 1, 1, 1])])
def test_an_append_is_bounded_by_bytes(
    bytes_max: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """H9: what comes after them waits for the next."""
    monkeypatch.setattr(loop, "BATCH_BYTES", bytes_max)
    site = Site()
    decider = deciding(site)
    for n in range(4):
        site.ask_flavor(f"f{n}")
    settle(decider)
    assert batches(site) == sizes


@pytest.mark.parametrize(("takes_us", "sizes"), [(0, [4]), (loop.BATCH_US * 2 // 3, [2, 2])])
def test_an_append_is_bounded_by_time(
    takes_us: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """H9: slow decisions make small appends."""
    site = Site()
    decider = deciding(site)
    right = Draft.decide

    def decide(self: Draft, item: Input) -> None:
        site.now += takes_us
        right(self, item)

    monkeypatch.setattr(Draft, "decide", decide)
    for n in range(4):
        site.ask_flavor(f"f{n}")
    settle(decider)
    assert batches(site) == sizes


def test_appends_grow_again_after_a_failure() -> None:
    site = Site()
    decider = deciding(site)
    left = [Fault.REFUSED]

    def once(operation: Operation) -> Fault | None:
        return left.pop() if operation.name == "commit" and left else None

    site.faults = once
    for n in range(40):
        site.ask_flavor(f"f{n}")
    settle(decider)
    assert not left
    assert batches(site) == [20, 20]
    for n in range(60):
        site.ask_flavor(f"g{n}")
    settle(decider)
    assert batches(site) == [20, 20, 60]


def owned_of(decider: Decider) -> Owned:
    return decider._ownership.owned["compute.commands", 0]


def test_inputs_are_read_one_by_one_while_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    decider = deciding(site)
    owned = owned_of(decider)
    site.ask_flavor("one")
    monkeypatch.setattr(Owned, "has_input", lambda self, now: False)
    decider.step(0.0)
    monkeypatch.setattr(loop, "QUEUED_BYTES", owned.queued_bytes)
    assert decider._room() == 2 * BATCH_MAX
    monkeypatch.setattr(loop, "QUEUED_BYTES", owned.queued_bytes - 1)
    assert decider._room() == 1
    rooms: list[int] = []
    right = decider._member.poll

    def poll(wait_s: float, records_max: int) -> object:
        rooms.append(records_max)
        return right(wait_s, records_max)

    monkeypatch.setattr(decider._member, "poll", poll)
    decider.step(0.0)
    assert rooms == [1]


COMMANDS = topics.commands("compute")


def idle(site: Site, decider: Decider) -> None:
    """A command that changes nothing, and whose sender wants no answer."""
    context = Context(id=f"idle-{len(site.records(COMMANDS))}", time=site.now)
    made = headers(context, Ping.type_name, "/test")
    site.log("client").append([Outgoing(COMMANDS, "k", CODEC.encode(Ping(key="k")), made)])
    settle(decider, turns=3)


def marks(site: Site) -> int:
    found = [CODEC.decode(r.value) for r in site.records(topics.events("compute"))]
    return sum(isinstance(one, Marked) for one in found)


def test_inputs_that_led_to_nothing_are_marked_after_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draft, "SILENT_MAX", 5)
    site = Site()
    decider = deciding(site)
    site.ask_flavor("one")
    settle(decider)
    before = marks(site)
    for _ in range(4):
        idle(site, decider)
    assert marks(site) == before
    idle(site, decider)
    assert marks(site) == before + 1
    assert owned_of(decider).partition.marks.inputs[COMMANDS] == 6


def test_inputs_that_led_to_nothing_are_marked_after_a_minute() -> None:
    site = Site()
    decider = deciding(site)
    site.ask_flavor("one")
    settle(decider)
    before = marks(site)
    idle(site, decider)
    site.now = owned_of(decider).partition.last_at + draft.SILENT_US - 1
    idle(site, decider)
    assert marks(site) == before
    site.now += 1
    idle(site, decider)
    assert marks(site) == before + 1


def remembering(monkeypatch: pytest.MonkeyPatch, moments: dict[str, int]) -> list[str]:
    """What is left of ids that are remembered at these moments, of which two are in any case and
    four at most."""
    monkeypatch.setattr(partition, "REMEMBERED_MIN", 2)
    monkeypatch.setattr(partition, "REMEMBERED_MAX", 4)
    kept = Partition("compute", 0, CODEC)
    assert kept.remembered == OrderedDict()
    for id, at in moments.items():
        kept._remember(id, Remembered(at, 0))
    return list(kept.remembered)


def test_ids_are_forgotten_after_five_minutes_but_for_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = REMEMBERED_US
    assert remembering(monkeypatch, {"a": 0, "b": 1, "c": late}) == ["a", "b", "c"]
    assert remembering(monkeypatch, {"a": 0, "b": 1, "c": late + 1}) == ["b", "c"]
    assert remembering(monkeypatch, {"a": 0, "b": 1, "c": 3 * late}) == ["b", "c"]
    assert remembering(monkeypatch, {"a": 0, "b": 1, "c": 3 * late, "d": 3 * late}) == ["c", "d"]


def test_no_more_ids_are_remembered_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembering(monkeypatch, dict.fromkeys("abcdef", 1)) == ["c", "d", "e", "f"]


def test_ids_of_follow_ups_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks say which of them were taken, however many."""
    assert remembering(monkeypatch, {"fleet.events/0/7>1": 1, "a": 1, "": 1}) == ["a"]

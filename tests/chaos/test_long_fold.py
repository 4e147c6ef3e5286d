"""An owner whose fold takes longer than a member may be silent stays one, and goes on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

import handlers.decider.ownership as ownership
from commands.compute.flavor import CreateFlavor
from events import topics
from events.log import open_log
from events.log.contract import Log, Outgoing, Record
from events.log.records import Codec, headers
from events.message import Context
from handlers.decider import Decider, wall_clock
from handlers.decider.partition import Partition
from tests.events.log.site import LIMIT_S
from tests.handlers.decider.site import flavor
from tests.parts.broker import kafka_broker
from tests.parts.postgres import postgres_server

pytestmark = [
    pytest.mark.long,
    pytest.mark.service,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

CODEC = Codec()
RECORDS, FOLD_S = 60, 0.1
"""Of the long journal, and how long each takes: twice and more what a member may be silent."""
SILENT_S = 3.0


@pytest.fixture(params=["postgres", "kafka"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """A log of its own with two partitions of everything. Members are expelled after ``SILENT_S``
    without a heartbeat, and on Kafka also without a poll."""
    with ExitStack() as stack:
        if request.param == "postgres":
            url, options = stack.enter_context(postgres_server()).url, {"session_s": SILENT_S}
        else:
            url = f"kafka://{stack.enter_context(kafka_broker()).bootstrap}"
            options = {"session_timeout_s": SILENT_S, "poll_interval_max_s": SILENT_S}
            options["heartbeat_s"] = 0.3
        made = stack.enter_context(closing(open_log(url, **options)))
        made.create_topics(topics.all_topics(2))
        yield made


class Owners:
    """``contract.Watcher`` that notes how many partitions were owned, at each change."""

    def __init__(self) -> None:
        self.owned: list[int] = []

    def owns(self, partitions: int) -> None:
        self.owned.append(partitions)

    def batch(self, decided: object, seconds: float) -> None:
        pass


def ask(log: Log, partition: int, name: str) -> None:
    """Ask for a flavor in a partition."""
    command: CreateFlavor = flavor(name)
    made = headers(Context(id=f"of-{name}", time=wall_clock()), command.type_name, "/test")
    value = CODEC.encode(command)
    log.append([Outgoing(topics.commands("compute"), "key", value, made, partition)])


def there(decider: Decider, partition: int) -> set[str]:
    return set(decider.states("compute", partition, "flavor") or ())


def step_until_there(decider: Decider, partition: int, count: int) -> None:
    until = time.monotonic() + LIMIT_S
    while len(there(decider, partition)) < count:
        decider.step(0.05)
        assert time.monotonic() < until, f"{there(decider, partition)} instead of {count}"


def test_an_owner_that_folds_for_long_goes_on(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Decider(log, ["compute"])
    ask(log, 0, "short")
    for n in range(RECORDS):
        ask(log, 1, f"long-{n}")
        step_until_there(first, 1, n + 1)
    first.close()
    right = Partition.fold

    def fold(self: Partition, record: Record) -> None:
        until = time.monotonic() + (FOLD_S if self.number == 1 else 0.0)
        while time.monotonic() < until:
            sum(range(1000))
        right(self, record)

    monkeypatch.setattr(ownership, "SLICE_RECORDS", 5)
    monkeypatch.setattr(Partition, "fold", fold)
    owners = Owners()
    second = Decider(log, ["compute"], watcher=owners)
    try:
        until, asked, meanwhile = time.monotonic() + 2 * LIMIT_S, 0, 0
        while len(there(second, 1)) < RECORDS:
            if there(second, 0) and len(there(second, 0)) > asked:
                meanwhile, asked = asked, asked + 1
                ask(log, 0, f"meanwhile-{asked}")
            second.step(0.0)
            assert time.monotonic() < until, owners.owned
    finally:
        second.close()
    assert owners.owned == [2], "it was expelled"
    assert meanwhile > 3, "its other partition has waited"

"""Members of a Kafka group beyond the contract: what keeps a membership, and what costs nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.protocol.consumer import JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest

from events.log.contract import LogUnavailable, Outgoing, TopicPartition
from events.log.kafka import KafkaLog
from events.log.kafka_member import KafkaMember
from tests.events.log.site import KafkaSite, outgoing, persistently, until
from tests.events.log.test_contract_members import Following, join, share
from tests.parts.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def kafka(broker: Broker) -> Iterator[KafkaSite]:
    """A site on the session's broker."""
    with closing(KafkaSite(broker)) as site:
        yield site


def test_membership_lasts_while_the_caller_folds(kafka: KafkaSite) -> None:
    """Three times the session's time-out between two polls, and not a moment of it idle."""
    topic = kafka.topic("commands", 2)
    log = KafkaLog(kafka.server.bootstrap, session_timeout_s=1.5, heartbeat_s=0.3)
    kafka._logs.append(log)
    one, other = join(kafka, [topic], log), join(kafka, [topic], kafka.open())
    share([one, other], [1, 1])
    owned = set(one.owned)
    folded_by = time.monotonic() + 4.5
    total = 0
    while time.monotonic() < folded_by:
        total += sum(range(10_000))
        other.step(0.0)
    for _ in range(10):
        polled = one.step(0.1)
        assert not polled.revoked and not polled.assigned
        other.step(0.0)
    assert (one.owned, len(other.owned)) == (owned, 1)


def test_the_broker_is_neither_asked_for_offsets_nor_given_any(kafka: KafkaSite) -> None:
    topic = kafka.topic("commands", 3)
    kafka.log.append(outgoing(topic, "a", "b"))
    one = join(kafka, [topic])
    asked: list[Any] = []
    member = one.member
    assert isinstance(member, KafkaMember)
    send = member._consumer._stepped._manager.send

    def watched(request: Any, *args: Any, **options: Any) -> Any:
        asked.append(request)
        return send(request, *args, **options)

    member._consumer._stepped._manager.send = watched
    share([one], [3])
    one.take(2)
    with closing(KafkaAdminClient(bootstrap_servers=kafka.server.bootstrap)) as admin:
        group = kafka.name("group")
        assert not any(admin.list_group_offsets([group])[group].values())
    member.close()
    assert [r for r in asked if isinstance(r, JoinGroupRequest)]
    assert not [r for r in asked if isinstance(r, OffsetFetchRequest | OffsetCommitRequest)]


def test_a_planned_leave_is_noticed_within_a_second_or_so(kafka: KafkaSite) -> None:
    topic = kafka.topic("commands", 4)
    first, second = join(kafka, [topic]), join(kafka, [topic], kafka.open())
    share([first, second], [2, 2])
    began = time.monotonic()
    second.member.close()
    share([first], [4])
    assert time.monotonic() - began < 3.0  # 0.02-0.5 s on an idle machine: the next heartbeat


def test_what_a_member_keeps_through_a_rebalance_keeps_its_state(kafka: KafkaSite) -> None:
    """It is followed on from where it was, too."""
    topic = kafka.topic("commands", 4)
    first = join(kafka, [topic])
    share([first], [4])
    kafka.log.append([Outgoing(topic, "", b"before", partition=n) for n in range(4)])
    first.take(4)
    second = join(kafka, [topic], kafka.open())
    revoked: list[TopicPartition] = []
    assigned: list[TopicPartition] = []

    def shared() -> bool:
        polled = first.step(0.05)
        revoked.extend(polled.revoked)
        assigned.extend(polled.assigned)
        second.step(0.05)
        return len(first.owned) == len(second.owned) == 2

    until(shared, "two partitions are handed over")
    assert sorted(revoked) == sorted(second.owned)
    assert assigned == []
    kafka.log.append([Outgoing(topic, "", b"after", partition=n) for n in range(4)])

    def read() -> bool:
        first.step(0.05)
        return len(first.records) >= 6

    until(read, "the next records")
    went_on = [record for record in first.records[4:] if record.source in first.owned]
    assert [record.value for record in went_on] == [b"after", b"after"]


def test_a_member_waits_for_a_broker_without_spinning_and_goes_on(kafka: KafkaSite) -> None:
    topic = kafka.topic("commands")
    kafka.log.append(outgoing(topic, "before"))
    one = join(kafka, [topic])
    one.take(1)
    kafka.stop()
    used = time.process_time()
    until_s = time.monotonic() + 3.0
    while time.monotonic() < until_s:
        quietly(one)
    assert time.process_time() - used < 1.0
    kafka.start()
    persistently(lambda: kafka.log.append(outgoing(topic, "after")))

    def read() -> bool:
        quietly(one)
        return bool(one.records) and one.records[-1].value == b"after"

    until(read, "it goes on")


def quietly(one: Following) -> None:
    try:
        one.step(0.5)
    except LogUnavailable:
        return


def test_a_rejoin_whose_reason_went_away_is_brought_to_its_end(kafka: KafkaSite) -> None:
    """The library asks anew, at each poll, whether to rejoin: metadata that had changed, and were
    the old ones again before the group had answered, left a member that read nothing, sent no
    heartbeat, and did not know."""
    topic = kafka.topic("commands", 2)
    one = join(kafka, [topic])
    share([one], [2])
    assert isinstance(one.member, KafkaMember)
    coordinator = one.member._consumer._stepped._coordinator
    known, polls = coordinator._assignment_snapshot, 0
    coordinator._assignment_snapshot = {"another": 1}
    while not coordinator.rejoining:
        assert polls < 1000
        polls += 1
        one.member.poll(0.001)
    coordinator._assignment_snapshot = known
    kafka.log.append(outgoing(topic, "a"))
    assert one.take(1) == [b"a"]


def test_a_closed_member_says_so(kafka: KafkaSite) -> None:
    one = join(kafka, [kafka.topic("commands")])
    one.member.close()
    one.member.close()
    with pytest.raises(LogUnavailable):
        one.member.poll(0.1)

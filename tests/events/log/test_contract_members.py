"""The contract of a log, for every implementation: members of groups, and what they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from events.log.contract import Log, Member, Outgoing, Polled, Record, Topic, TopicPartition
from tests.events.log.site import Site, outgoing, until


class Following:
    """Drives a member: follows what is assigned from ``start``, keeps what it reads."""

    def __init__(self, member: Member, start: Callable[[TopicPartition], int] = lambda s: 0):
        self.member = member
        self.start = start
        self.owned: set[TopicPartition] = set()
        self.records: list[Record] = []

    def step(self, timeout_s: float = 0.3) -> Polled:
        polled = self.member.poll(timeout_s)
        self.owned -= set(polled.revoked)
        self.owned |= set(polled.assigned)
        for source in polled.assigned:
            self.member.follow(source, self.start(source))
        self.records += polled.records
        return polled

    def take(self, count: int) -> list[bytes]:
        def enough() -> bool:
            if len(self.records) < count:
                self.step()
            return len(self.records) >= count

        until(enough, f"{count} records, not {len(self.records)}")
        return [record.value for record in self.records]


def join(site: Site, topics: Sequence[str], log: Log | None = None) -> Following:
    member = (log or site.log).membership(site.name("group"), topics)
    site.closing(member)
    return Following(member)


def share(members: Sequence[Following], counts: Sequence[int]) -> None:
    def done() -> bool:
        for one in members:
            one.step(0.05)
        return sorted(len(one.owned) for one in members) == sorted(counts)

    until(done, f"{counts} partitions owned, not {[sorted(m.owned) for m in members]}")


def test_a_member_reads_from_where_it_says(site: Site) -> None:
    topic = site.topic("commands")
    offsets = site.log.append(outgoing(topic, "0", "1", "2"))
    one = join(site, [topic])
    one.start = lambda source: offsets[1]
    assert one.take(2) == [b"1", b"2"]


def test_nothing_is_delivered_before_it_is_followed(site: Site) -> None:
    topic = site.topic("commands", 2)
    site.log.append([Outgoing(topic, "", bytes([n]), partition=n) for n in range(2)])
    member = join(site, [topic]).member
    assigned: list[TopicPartition] = []

    def owns_both() -> bool:
        polled = member.poll(0.3)
        assigned.extend(polled.assigned)
        assert not polled.records
        return len(assigned) == 2

    until(owns_both, "two partitions owned")
    assert not member.poll(0.3).records
    member.follow((topic, 1), 0)
    found: list[Record] = []

    def read_one() -> bool:
        found.extend(member.poll(0.3).records)
        return bool(found)

    until(read_one, "a record")
    assert [record.partition for record in found] == [1]


def test_a_member_goes_back_where_it_is_told_to(site: Site) -> None:
    """As an owner does that has to begin another term."""
    topic = site.topic("commands")
    site.log.append(outgoing(topic, "0", "1"))
    one = join(site, [topic])
    assert one.take(2) == [b"0", b"1"]
    one.member.follow((topic, 0), 1)
    assert one.take(3) == [b"0", b"1", b"1"]


def test_members_share_and_hand_over(site: Site) -> None:
    topic = site.topic("commands", 4)
    first = join(site, [topic])
    share([first], [4])
    second = join(site, [topic], site.open())
    share([first, second], [2, 2])
    assert not first.owned & second.owned
    second.member.close()
    share([first], [4])


def test_partitions_that_go_together_have_one_owner(site: Site) -> None:
    commands, reports = site.name("x") + ".commands", site.name("x") + ".reports"
    site.log.create_topics([Topic(commands, 4), Topic(reports, 4)])
    members = [join(site, [commands, reports], site.open()) for _ in range(2)]
    share(members, [4, 4])
    for one in members:
        numbers = {topic: {n for t, n in one.owned if t == topic} for topic in (commands, reports)}
        assert numbers[commands] == numbers[reports]


def test_the_log_remembers_no_offsets(site: Site) -> None:
    topic = site.topic("commands")
    site.log.append(outgoing(topic, "0"))
    first = join(site, [topic])
    first.take(1)
    first.member.close()
    second = join(site, [topic], site.open())
    assert second.take(1) == [b"0"]

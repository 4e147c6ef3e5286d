"""Each role does its work with its rules, and nothing else, on a broker that enforces them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from chronova.acls import ROLES, Acl, acls, commands
from events import topics
from events.log.contract import EARLIEST, Log, LogError, Member, Outgoing, Record, TopicPartition
from events.log.kafka import KafkaLog
from handlers.compute.agent import have_topic
from tests.parts.broker import collect_refused_sockets
from tests.parts.secured_broker import ADMIN, SecuredBroker, secured_broker

COMPUTE, EVENTS = topics.commands("compute"), topics.events("compute")
REPORTS, REPLIES = topics.reports("compute"), topics.REPLIES
OWN, OTHERS = topics.dispatch("h1"), topics.dispatch("h2")
PARTITIONS = 2
LIMIT_S = 30.0


class Roles:
    """A log of each role's own, with the role's rules."""

    def __init__(self, broker: SecuredBroker, stack: ExitStack) -> None:
        self._broker = broker
        self._stack = stack
        made = [*topics.all_topics(PARTITIONS), topics.of_host("h1"), topics.of_host("h2")]
        self.log("admin", acls("admin")).create_topics(made)
        self.api = self.log("api", acls("api"))
        self.decider = self.log("decider", acls("decider"))
        self.projector = self.log("projector", acls("projector"))
        self.host = self.log("host-h1", acls("agent", "h1"))

    def log(self, user: str, rules: list[Acl]) -> Log:
        if user != ADMIN:
            self._broker.allow(user, rules)
        log = KafkaLog(
            self._broker.bootstrap, client_options=self._broker.options(user), timeout_s=4.0
        )
        self._stack.callback(log.close)
        return log


@pytest.fixture(scope="module")
def roles() -> Iterator[Roles]:
    with secured_broker() as broker, ExitStack() as stack:
        yield Roles(broker, stack)
    collect_refused_sockets()


def read(log: Log, topic: str, partition: int) -> list[bytes]:
    reader = log.reader({(topic, partition): EARLIEST})
    try:
        return [record.value for record in reader.poll(LIMIT_S)]
    finally:
        reader.close()


@pytest.mark.service
def test_a_boot_goes_its_way(roles: Roles) -> None:
    roles.api.append([Outgoing(COMPUTE, "project", b"create")])
    with closing(roles.decider.membership("deciders", topics.inputs("compute"))) as member:
        command = taken(member)
        assert command.value == b"create"
        journal = (EVENTS, command.partition)
        writer = roles.decider.begin_term(journal, term(journal))
        (outcome,) = roles.decider.commit([(writer, [Outgoing(EVENTS, "server", b"created")])])
        assert outcome == writer.term + 1
        roles.decider.append(
            [
                Outgoing(OWN, "h1", b"build"),
                Outgoing(topics.commands("fleet"), "default", b"place"),
                Outgoing(REPLIES, "id", b"accepted", partition=0),
            ]
        )
        assert read(roles.api, REPLIES, 0) == [b"accepted"]
        assert read(roles.projector, *journal) == [b"term", b"created"]
        with closing(roles.api.reader({journal: EARLIEST})) as reader:
            assert reader.ends()
        assert read(roles.host, OWN, 0) == [b"build"]
        roles.host.append([Outgoing(REPORTS, "project", b"started")])
        assert taken(member).value == b"started"
    roles.host.append([Outgoing(topics.HEARTBEATS, "h1", b"beat")])
    roles.host.append([Outgoing(topics.reports("fleet"), "default", b"inventory")])
    for role in (roles.decider, roles.api, roles.projector):
        role.append([Outgoing(topics.HEARTBEATS, "scheduler", b"beat")])
    roles.decider.append([Outgoing(topics.FEATURES, "2", b"level", partition=0)])
    assert b"beat" in read(roles.decider, topics.HEARTBEATS, 0)
    assert b"beat" in read(roles.projector, topics.HEARTBEATS, 0)
    for role in (roles.api, roles.decider):
        role.append([Outgoing(topics.SCHEMAS, "schema", b"schema")])
    for role in (roles.api, roles.decider, roles.projector, roles.host):
        assert read(role, topics.SCHEMAS, 0) == [b"schema"] * 2
        assert read(role, topics.FEATURES, 0) == [b"level"]


def taken(member: Member) -> Record:
    """The first record that comes; what is assigned is followed from its beginning."""
    for _ in range(60):
        polled = member.poll(LIMIT_S / 60)
        for source in polled.assigned:
            member.follow(source, EARLIEST)
        if polled.records:
            return polled.records[0]
    raise AssertionError("nothing came")


@pytest.mark.service
@pytest.mark.parametrize("role", ["host", "api", "projector"])
def test_who_may_not_begin_a_term(roles: Roles, role: str) -> None:
    """Its producer's epoch alone would fence the owner."""
    journal = (EVENTS, 0)
    writer = roles.decider.begin_term(journal, term(journal))
    log: Log = getattr(roles, role)
    with pytest.raises(LogError, match=r"(?i)authoriz"):
        log.begin_term(journal, term(journal), 4.0)
    outcome = roles.decider.commit([(writer, [Outgoing(EVENTS, "server", b"decided")])])
    assert [type(each) for each in outcome] == [int]


def term(journal: TopicPartition) -> Outgoing:
    return Outgoing(journal[0], "term", b"term", {"ce_type": "test.TermBegan"}, journal[1])


@pytest.mark.service
@pytest.mark.parametrize(
    ("role", "topic"),
    [
        ("host", EVENTS),
        ("host", OWN),
        ("host", OTHERS),
        ("host", REPLIES),
        ("host", COMPUTE),
        ("host", topics.commands("fleet")),
        ("host", topics.commands("identity")),
        ("host", topics.refusals("compute")),
        ("api", topics.refusals("compute")),
        ("api", EVENTS),
        ("api", OWN),
        ("api", REPORTS),
        ("projector", EVENTS),
        ("projector", COMPUTE),
        ("projector", topics.SCHEMAS),
        ("host", topics.SCHEMAS),
        ("host", topics.FEATURES),
        ("api", topics.FEATURES),
        ("projector", topics.FEATURES),
    ],
)
def test_who_may_not_write(roles: Roles, role: str, topic: str) -> None:
    log: Log = getattr(roles, role)
    with pytest.raises(LogError, match=r"(?i)authoriz"):
        log.append([Outgoing(topic, "key", b"forged", partition=0)], 4.0)


@pytest.mark.service
@pytest.mark.parametrize(
    "topic",
    [
        *(OTHERS, EVENTS, COMPUTE, REPORTS, REPLIES, topics.HEARTBEATS),
        *(topics.events("identity"), topics.refusals("compute")),
    ],
)
def test_a_host_reads_its_own_work_only(roles: Roles, topic: str) -> None:
    with pytest.raises(LogError, match=r"(?i)authoriz"):
        read(roles.host, topic, 0)


@pytest.mark.service
def test_a_host_without_a_topic_is_told_who_can_make_it(roles: Roles) -> None:
    log = roles.log("host-h3", acls("agent", "h3"))
    with pytest.raises(LogError, match="chronova topics create --host h3"):
        have_topic(log, "h3")


def test_the_commands() -> None:
    rules = [Acl("group", "deciders", ("Read",)), Acl("transactional-id", "d-", ("Write",), True)]
    first, second = commands("decider", rules, "kafka1:9092")
    assert "--allow-principal User:decider --operation Read --group deciders" in first
    assert second.endswith("--transactional-id d- --resource-pattern-type prefixed")
    assert all(acls(role, "h1") for role in ROLES)
    with pytest.raises(ValueError, match="give its name"):
        acls("agent")
    with pytest.raises(ValueError, match="no role"):
        acls("cook")

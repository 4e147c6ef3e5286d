"""What the runner may never do: each of these fails without the rule that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import pytest

import handlers.reactions  # noqa: F401 - registers what follows
from commands.compute.delete import RemoveGuest
from commands.compute.ping import Ping
from commands.decision import DECIDERS, Decision
from events import topics
from events.compute.server.facts import ServerCreated
from events.journal import TermBegan
from events.log.contract import LogError, LogUnavailable, Outgoing, TopicPartition
from events.log.memory import Crash, Fault, Operation
from events.log.records import Codec, headers
from events.log.terms import TERM
from events.message import Context, Message
from events.outcome import CommandFailed
from handlers.decider import Decider
from handlers.decider.effects import Effect
from handlers.decider.marks import marks_of
from handlers.decider.owned import AGAIN_US
from tests.commands.compute.servers import create
from tests.handlers.decider.site import CODEC, Site, flavors, settle

COMMANDS = topics.commands("compute")


def failing(site: Site, *struck: tuple[str, str, Fault]) -> list[tuple[str, str, Fault]]:
    """These faults strike once each: operation, process, what."""
    left = list(struck)

    def strike(operation: Operation) -> Fault | None:
        for one in left:
            if (operation.name, operation.process) == one[:2]:
                left.remove(one)
                return one[2]
        return None

    site.faults = strike
    return left


def test_a_command_is_decided_committed_and_answered() -> None:
    site = Site()
    decider = site.decider()
    id = site.ask_flavor("one")
    settle(decider)
    assert flavors(decider) == {"one"}
    assert [r.headers["ce_type"] for r in site.events()] == ["chronova.compute.FlavorCreated"]
    (answer,) = site.answers()[id]
    assert (answer.status, answer.position) == (0, 1)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.UNAVAILABLE_AFTER, Fault.REFUSED])
def test_what_was_not_committed_changes_nothing_in_memory(fault: Fault) -> None:
    """C1: whatever the log raised, the next batch follows what the log holds."""
    site = Site()
    decider = site.decider()
    settle(decider)
    left = failing(site, ("commit", "decider", fault))
    first = site.ask_flavor("one")
    try:
        decider.step(0.0)
    except LogUnavailable:
        assert fault is not Fault.REFUSED
    assert not left
    assert flavors_or_none(decider) in (set(), None)
    second = site.ask_flavor("two")
    settle(decider)
    assert flavors(decider) == {"one", "two"}
    assert [r.headers["ce_position"] for r in site.events()] == ["1", "2"]
    assert set(site.answers()) == {first, second}
    assert all(not answers[0].status for answers in site.answers().values())


def flavors_or_none(decider: object) -> set[str] | None:
    states = decider.states("compute", 0, "flavor")  # type: ignore[attr-defined]
    return None if states is None else set(states)


def test_a_batch_that_the_log_refuses_is_halved_down_to_the_one_command() -> None:
    """H9: the one is recorded as failed, the others are decided."""
    site = Site()
    decider = site.decider()
    settle(decider)
    ids = [site.ask_flavor(f"f{n}") for n in range(8)]
    poison = ids[5]
    right = site.cluster.write

    def write(placed: Iterable[tuple[TopicPartition, Outgoing]]) -> list[int]:
        placed = list(placed)
        for _, record in placed:
            caused = record.headers.get("ce_causationid") == poison
            if caused and "FlavorCreated" in record.headers["ce_type"]:
                raise LogError("SQLSTATE XX000")
        return right(placed)

    site.cluster.write = write  # type: ignore[method-assign]
    for _ in range(60):
        site.now += 1_000_000
        decider.step(0.0)
    assert flavors(decider) == {f"f{n}" for n in range(8) if n != 5}
    failed = [CODEC.decode(r.value) for r in site.events() if "CommandFailed" in str(r.headers)]
    assert [one.command_id for one in failed if isinstance(one, CommandFailed)] == [poison]
    assert site.answers()[poison][0].status == 500


def test_an_owner_that_lost_a_partition_commits_nothing_there() -> None:
    """C2: another has begun a term while it was stopped between decision and commit."""
    site = Site()
    log = site.log("first")
    first = site.decider("first", log=log)
    settle(first)
    second: list[Decider] = []

    def stopped(operation: Operation) -> None:
        if operation == ("commit", "first") and not second:
            log.expel()
            second.append(site.decider("second"))
            settle(second[0])

    site.ask_flavor("one")
    site.faults = stopped
    settle(first)
    assert second
    positions = [record.headers["ce_position"] for record in site.events()]
    assert positions == ["1"], "decided once, whatever the old owner wrote late"
    site.ask_flavor("two")
    for _ in range(5):
        site.now += 2_000_000
        settle(first, second[0])
    assert [r.headers["ce_position"] for r in site.events()] == ["1", "2"]


def test_who_is_fenced_pauses_before_it_begins_another_term() -> None:
    """M9: two that both take themselves for the owner would end each other's terms at once, and
    neither would ever decide."""
    site = Site()
    decider = site.decider()
    settle(decider)
    begun: list[str] = []
    site.faults = lambda operation: begun.append(operation.name)
    journal = (topics.events("compute"), 0)
    made = headers(Context(id="term", time=site.now), TermBegan.type_name, "/test")
    value = CODEC.encode(TermBegan(at=site.now, owner="intruder"))
    made[TERM] = "-1"
    site.log("intruder").begin_term(journal, Outgoing(journal[0], "term", value, made, 0))
    begun.clear()
    site.ask_flavor("one")
    settle(decider)
    site.now += AGAIN_US - 1
    settle(decider)
    assert begun.count("commit") == 1 and "begin_term" not in begun
    site.now += 1
    settle(decider)
    assert begun.count("begin_term") == 1
    assert flavors(decider) == {"one"}


def test_a_command_is_decided_once_however_long_the_backlog_was() -> None:
    """H5: what was taken is said by the journal, not by a memory of ids."""
    site = Site()
    decider = site.decider()
    settle(decider)
    ids = [site.ask_flavor(f"f{n}") for n in range(600)]

    def crash_after_some(operation: Operation) -> Fault | None:
        crashing = operation.name == "commit" and len(site.events()) > 250
        return Fault.CRASH_AFTER if crashing else None

    site.faults = crash_after_some
    with pytest.raises(Crash):
        settle(decider)
    site.faults = lambda operation: None
    site.cluster.groups.leave("member:deciders", 1)
    successor = site.decider("successor")
    settle(successor, turns=20)
    causes = [record.headers["ce_causationid"] for record in site.events()]
    assert causes == ids
    assert set(site.answers()) == set(ids), "each is answered"


def test_a_record_that_comes_twice_is_answered_twice_and_decided_once() -> None:
    site = Site()
    decider = site.decider()
    site.ask_flavor("one", id="same")
    settle(decider)
    site.ask_flavor("one", id="same")
    settle(decider)
    assert len(site.events()) == 1
    assert [a.status for a in site.answers()["same"]] == [0, 0]


def test_a_bad_record_in_one_journal_stops_that_partition_alone() -> None:
    """H3: the others go on, and it says why."""
    site = Site(partitions=2)
    decider = site.decider()
    settle(decider)
    decider.close()
    bad = Outgoing("compute.events", "x", b"\0garbage", {"ce_position": "1"}, partition=1)
    terms = {p: site.cluster.partitions["compute.events", p].term for p in range(2)}
    bad.headers["ce_term"] = str(terms[1])  # type: ignore[index]
    site.log("intruder").append([bad])
    decider = site.decider("successor")
    settle(decider)
    assert decider.states("compute", 0, "flavor") is not None
    assert decider.states("compute", 1, "flavor") is None
    (trouble,) = decider.troubles()
    assert trouble.startswith("compute.events/1: ")


@pytest.fixture
def undecidable() -> Iterator[None]:
    """Creating a flavor raises."""
    name = "compute.CreateFlavor"
    right = DECIDERS[name]

    def decide(state: object, command: object, at: int) -> Decision:
        raise RuntimeError("a defect")

    DECIDERS[name] = msgspec.structs.replace(right, decide=decide)
    yield
    DECIDERS[name] = right


def test_a_decision_that_raises_is_recorded_and_the_next_one_made(undecidable: None) -> None:
    site = Site()
    decider = site.decider()
    id = site.ask_flavor("one")
    settle(decider)
    assert site.answers()[id][0].status == 500


def test_moments_never_go_back() -> None:
    """M3: an owner whose clock is behind goes on from the last record's moment."""
    site = Site()
    first = site.decider("first")
    site.ask_flavor("one")
    settle(first)
    first.close()
    site.now -= 3_600_000_000
    second = site.decider("second")
    site.ask_flavor("two")
    settle(second)
    moments = [CODEC.decode(record.value).at for record in site.events()]  # type: ignore[attr-defined]
    assert moments == sorted(moments)


def test_an_answer_that_nobody_can_read_holds_nobody_back() -> None:
    site = Site()
    decider = site.decider()
    lost = Context(id="lost", time=site.now, reply_to="99")
    made = headers(lost, Ping.type_name, "/test")
    site.log("client").append([Outgoing(COMMANDS, "k", CODEC.encode(Ping(key="k")), made)])
    id = site.ask_flavor("one")
    settle(decider)
    assert site.answers()[id][0].status == 0
    assert decider.troubles() == []


def test_work_for_a_host_that_has_no_topic_waits_and_holds_back_nothing_else() -> None:
    """It is delivered when the topic is there; the marks name what is held."""
    site = Site()
    decider = site.decider()
    effect = Effect(
        (topics.dispatch("new"), 0),
        "new",
        RemoveGuest(server_id="s", project_id="p", generation=1, operation=1),
        Context(id="compute.events/0/1>0", time=site.now),
        "/chronova/compute.events/0",
        offset=1,
    )
    settle(decider)
    decider._outbox.put(("compute.events", 0), [effect])
    site.ask_flavor("one")
    settle(decider)
    site.ask_flavor("two")
    settle(decider)
    assert flavors(decider) == {"one", "two"}
    assert any("compute.dispatch.new" in trouble for trouble in decider.troubles())
    marks = marks_of(site.events()[-1])
    assert marks is not None
    assert (marks.delivered >= 1, marks.held) == (True, [1])
    site.cluster.create(topics.of_host("new"))
    site.now += 20_000_000
    settle(decider)
    assert [r.key for r in site.records(topics.dispatch("new"))] == ["new"]
    assert decider.troubles() == []


def test_what_one_append_cannot_take_is_refused_and_nothing_else_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A decision is one batch: many servers with large texts may be too much for one. The rest of
    it is not encoded once that is known: a thousand servers could be 250 MB."""
    encoded: list[Message] = []
    right = Codec.encode

    def encode(self: Codec, message: Message) -> bytes:
        encoded.append(message)
        return right(self, message)

    monkeypatch.setattr(Codec, "encode", encode)
    site = Site()
    log = site.log("decider")
    log.commit_bytes_max = 100_000
    decider = site.decider(log=log)
    asked = create(*(f"5a5f1c7e-0000-4000-8000-{n:012d}" for n in range(9)))
    large = site.ask(msgspec.structs.replace(asked, description="A" * 40_000), asked.project_id)
    small = site.ask_flavor("one")
    settle(decider)
    assert [answer.status for answer in site.answers()[large]] == [413]
    assert sum(isinstance(message, ServerCreated) for message in encoded) == 3
    assert [answer.status for answer in site.answers()[small]] == [0]

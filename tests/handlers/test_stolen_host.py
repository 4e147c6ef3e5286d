"""What a host can say with its credentials, and of whom it is believed.

It writes to the topics of reports and to the heartbeats, whatever it likes. It is believed about
its own guests, and in no other name, whatever it knows: each record carries its host's proof.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as some

from commands.compute.guest import GuestReport
from commands.compute.power import ReportGuestStopped, StopServer
from commands.compute.power_state import ReportPowerState
from commands.fleet.host import RegisterHost, ReportInventory
from events import topics
from events.log.contract import Outgoing, Record
from events.log.records import headers
from events.message import MESSAGES, Command, Context, Event
from events.outcome import CommandFailed
from tests.commands.compute.servers import HOST, P, S, active, building
from tests.commands.fleet.fleet import register
from tests.parts.given import CODEC, NOW, Story, given
from tests.parts.proofs import checked, own_key, proofs_of
from tests.properties.histories import COMMANDS, examples
from tests.properties.values import messages

GUEST_REPORTS = [
    cls
    for cls in COMMANDS
    if issubclass(cls, GuestReport | ReportPowerState) and cls.type_domain == "compute"
]
STOLEN = "stolen"
numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def believed_with_proof() -> Iterator[None]:
    with checked():
        yield


def say(story: Story, report: Command, prover: str = "", id: str = "") -> None:
    """Let a host append this to its domain's topic of reports. ``prover``: the host whose keys it
    has, by default the one that it names; ``id``: what its record's begins with."""
    topic, number = topics.reports(report.type_domain), next(numbers)
    context = Context(id=f"{id or number}:{report.type_name}", time=NOW)
    made = headers(context, report.type_name, "/stolen")
    record = Outgoing(topic, P, CODEC.encode(report), made)
    host = prover or getattr(report, "host", "")
    named = msgspec.structs.replace(report, host=host)
    proved = proofs_of(host).add(record, named)
    story.take(Record(topic, 0, number, NOW, P, proved.value, proved.headers), NOW)


def orders(story: Story) -> list[str]:
    """Which hosts were given work because of the last report."""
    prefix = topics.DISPATCHES
    return [o.topic.removeprefix(prefix) for o in story.outgoing if o.topic.startswith(prefix)]


def test_every_report_about_a_guest_is_tried() -> None:
    known = {cls for cls in MESSAGES.values() if issubclass(cls, Command) and cls.from_hosts}
    guests = {cls for cls in known if "server_id" in cls.__struct_fields__}
    assert set(GUEST_REPORTS) == guests and guests


@pytest.mark.parametrize("kind", GUEST_REPORTS, ids=lambda kind: kind.type_name)
def test_in_its_own_name_it_changes_no_guest_of_another(kind: type[Command]) -> None:
    """Although it knows all that there is to know."""

    @examples(10)
    @drawn(messages(kind), some.sampled_from([building(), active()]))
    def tells(report: Command, past: list[Event]) -> None:
        story = given("compute", *past)
        known = story.state("server", S)
        fields = {"server_id": S, "project_id": P, "host": STOLEN}
        fields |= {"generation": known.generation, "operation": known.operation}
        say(story, msgspec.structs.replace(report, **fields))
        assert story.state("server", S) == known
        assert set(orders(story)) <= {STOLEN}

    tells()


@pytest.mark.parametrize("kind", GUEST_REPORTS, ids=lambda kind: kind.type_name)
def test_in_another_name_it_is_not_believed_whatever_it_knows(kind: type[Command]) -> None:
    """Server, host, generation and operation are right: only the proof is its own."""

    @examples(6)
    @drawn(messages(kind), some.sampled_from([building(), active()]))
    def forges(report: Command, past: list[Event]) -> None:
        story = given("compute", *past)
        known = story.state("server", S)
        fields: dict[str, object] = {"server_id": S, "project_id": P, "host": HOST}
        fields |= {"generation": known.generation, "operation": known.operation}
        say(story, msgspec.structs.replace(report, **fields), prover=STOLEN)
        assert story.state("server", S) == known
        (failed,) = story.written
        assert isinstance(failed, CommandFailed)
        assert f"in the name of {HOST!r} with the proof of {STOLEN!r}" in failed.reason

    forges()


@pytest.mark.parametrize("kind", GUEST_REPORTS, ids=lambda kind: kind.type_name)
@pytest.mark.parametrize("wrong", ["host", "generation", "server_id"])
def test_with_wrong_numbers_nobody_is_believed(kind: type[Command], wrong: str) -> None:
    @examples(6)
    @drawn(messages(kind), some.sampled_from([building(), active()]))
    def guesses(report: Command, past: list[Event]) -> None:
        story = given("compute", *past)
        known = story.state("server", S)
        fields: dict[str, object] = {"server_id": S, "project_id": P, "host": HOST}
        fields |= {"generation": known.generation, "operation": known.operation}
        fields |= {wrong: {"host": "host-2", "generation": 7, "server_id": "0" * 8}[wrong]}
        say(story, msgspec.structs.replace(report, **fields))
        assert story.state("server", S) == known

    guesses()


def stopped_report(story: Story) -> Command:
    """What the host says when it has stopped the server, as was asked for."""
    story.when(StopServer(server_id=S))
    known = story.state("server", S)
    return ReportGuestStopped(
        server_id=S,
        project_id=P,
        host=HOST,
        generation=known.generation,
        operation=known.operation,
        power_state=4,
    )


def test_only_the_host_itself_is_believed() -> None:
    story = given("compute", *active())
    report = stopped_report(story)
    asked = story.state("server", S)
    say(story, report, prover=STOLEN)
    assert story.state("server", S) == asked
    say(story, report)
    assert story.state("server", S).vm_state == "stopped"


@pytest.mark.parametrize("name", [HOST, STOLEN])
def test_it_cannot_have_another_s_report_pass_for_decided(name: str) -> None:
    """By taking its id first, which can be guessed: in the other's name, or in its own."""
    story = given("compute", *active())
    report = stopped_report(story)
    first = msgspec.structs.replace(report, host=name)
    say(story, first, prover=STOLEN, id="same")
    say(story, report, id="same")
    assert story.state("server", S).vm_state == "stopped"


def test_a_report_without_a_proof_is_recorded_as_failed() -> None:
    story = given("compute", *active())
    report = stopped_report(story)
    asked = story.state("server", S)
    made = headers(Context(id=f"1:{report.type_name}", time=NOW), report.type_name, "/stolen")
    topic = topics.reports("compute")
    story.take(Record(topic, 0, next(numbers), NOW, P, CODEC.encode(report), made), NOW)
    (failed,) = story.written
    assert isinstance(failed, CommandFailed) and "no proof" in failed.reason
    assert story.state("server", S) == asked


@pytest.mark.parametrize("kind", [RegisterHost, ReportInventory], ids=lambda kind: kind.type_name)
def test_it_registers_no_other_host_and_reports_nothing_of_it(
    kind: type[RegisterHost | ReportInventory],
) -> None:
    """Although it knows the other's node and public key."""
    known = msgspec.structs.replace(register(HOST), public_key=own_key(HOST).public)
    story = given("fleet")
    say(story, known)
    before = story.state("host", HOST)
    fields = {"host": HOST, "node_id": known.node_id, "hypervisor": known.hypervisor}
    more = {"service_id": "x", "public_key": known.public_key} if kind is RegisterHost else {}
    say(story, kind(**fields, **more, inventories={}), prover=STOLEN)  # type: ignore[arg-type]
    (failed,) = story.written
    assert isinstance(failed, CommandFailed)
    assert story.state("host", HOST) == before

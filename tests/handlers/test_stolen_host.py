"""What a host can say with its credentials, and of whom it is believed.

It writes to the topics of reports and to the heartbeats, whatever it likes. Of other hosts' guests
it is believed in nothing that it says in its own name; in another's name it has to know the
server's id, its host, generation and operation. The id is told to the server's project, and to the
hosts that had the server.
"""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as some

from commands.compute.guest import GuestReport
from commands.compute.power import ReportGuestStopped, StopServer
from commands.compute.power_state import ReportPowerState
from events import topics
from events.log.contract import Record
from events.log.records import headers
from events.message import MESSAGES, Command, Context, Event
from tests.commands.compute.servers import HOST, P, S, active, building
from tests.parts.given import CODEC, NOW, Story, given
from tests.properties.histories import COMMANDS, examples
from tests.properties.values import messages

GUEST_REPORTS = [
    cls
    for cls in COMMANDS
    if issubclass(cls, GuestReport | ReportPowerState) and cls.type_domain == "compute"
]
STOLEN = "stolen"
numbers = itertools.count(1)


def say(story: Story, report: Command) -> None:
    """Let a host append this to its domain's topic of reports."""
    topic, number = topics.reports(report.type_domain), next(numbers)
    context = Context(id=f"{number}:{report.type_name}", time=NOW)
    made = headers(context, report.type_name, "/stolen")
    story.take(Record(topic, 0, number, NOW, P, CODEC.encode(report), made), NOW)


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
@pytest.mark.parametrize("wrong", ["host", "generation", "server_id"])
def test_in_another_name_it_has_to_know_all(kind: type[Command], wrong: str) -> None:
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


def test_who_knows_all_of_them_is_believed() -> None:
    """The limit, as docs/security.md tells it: hosts share the topics of reports."""
    story = given("compute", *active())
    story.when(StopServer(server_id=S))
    known = story.state("server", S)
    report = ReportGuestStopped(
        server_id=S,
        project_id=P,
        host=HOST,
        generation=known.generation,
        operation=known.operation,
        power_state=4,
    )
    say(story, report)
    assert story.state("server", S).vm_state == "stopped"

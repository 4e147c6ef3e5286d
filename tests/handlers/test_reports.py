"""What hosts may bring about: their reports are decided, nothing else is that they ask for."""

from __future__ import annotations

from commands.compute.power import ReportGuestStopped, StopServer
from events import topics
from events.log.contract import Record
from events.log.records import Codec, headers
from events.message import Command, Context
from events.outcome import CommandFailed
from handlers.decider.draft import Decided
from tests.parts.given import Story

CODEC = Codec()
NOW = 1_800_000_000_000_000
STOPPED = ReportGuestStopped(
    server_id="s", project_id="p", host="host-1", generation=1, operation=2, power_state=4
)


def decided(story: Story, topic: str, command: Command, id: str) -> Decided:
    context = Context(id=id, time=NOW, project_id="p", reply_to="0")
    made = headers(context, command.type_name, "/test")
    record = Record(topic, 0, 7, NOW, "p", CODEC.encode(command), made)
    return story.take(record, NOW)


def test_a_report_is_decided_and_nobody_is_answered() -> None:
    story = Story("compute")
    done = decided(story, topics.reports("compute"), STOPPED, f"x:{STOPPED.type_name}")
    assert done.outcome == "accepted"
    assert not [out for out in story.outgoing if out.topic == topics.REPLIES]


def test_what_is_not_a_host_s_to_ask_for_is_recorded_as_failed() -> None:
    story = Story("compute")
    stop = StopServer(server_id="s")
    decided(story, topics.reports("compute"), stop, f"x:{stop.type_name}")
    (out,) = story.outgoing
    failed = CODEC.decode(out.value)
    assert isinstance(failed, CommandFailed) and "not for a host to send" in failed.reason


def test_a_host_cannot_make_another_s_command_pass_for_decided() -> None:
    story = Story("compute")
    stop = StopServer(server_id="s")
    for forged in (STOPPED, stop):
        decided(story, topics.reports("compute"), forged, "fleet.events/0/12>0")
    real = decided(story, topics.commands("compute"), stop, "fleet.events/0/12>0")
    assert real.outcome == "refused"  # there is no such server: it was looked at

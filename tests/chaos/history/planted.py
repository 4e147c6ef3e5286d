"""What can be wrong with a history: each of these adds one violation to a clean one."""

from __future__ import annotations

from msgspec.structs import replace

from tests.chaos.history.entries import NAMES, OPERATOR, SECOND, Guest, Held, Wrong
from tests.chaos.history.story import PROJECT, STEP, Story


def lost(story: Story) -> None:
    story.ask("metadata", "a", 200, mark="m9")


def lost_boot(story: Story) -> None:
    story.ask("boot", "e", 202, name=NAMES + "e")


def lost_delete(story: Story) -> None:
    story.ask("delete", "b", 204)


def refused_but_done(story: Story) -> None:
    story.mark("a", "m9", status=409)


def done_twice_by_one_request(story: Story) -> None:
    request = story.mark("a", "m9")
    again = {"request_id": request.request_id, "mark": "m9"}
    story.fact("compute.MetadataChanged", "a", "active - 1", **again)


def booted_twice_by_one_key(story: Story) -> None:
    def facts(id: str) -> None:
        fields = {"name": NAMES + "e", "project_id": PROJECT, "request_id": id}
        story.fact("compute.ServerCreated", "f", "building scheduling 0", **fields)

    story.ask("boot", "", 503, facts, name=NAMES + "e")
    story.fact("compute.BootFailed", "f", "error - 0")
    story.boot("e")


def unknown_and_done_twice(story: Story) -> None:
    story.ask("stop", "a", None)
    for number in (5, 6):
        story.fact("compute.StopRequested", "a", "active powering-off 1", operation=number)
        story.fact("compute.StopFailed", "a", "active - 1", operation=number)


def done_before_it_was_asked(story: Story) -> None:
    story.fact("compute.MetadataChanged", "a", "active - 1", mark="m9")
    story.ask("metadata", "a", None, mark="m9")


def unasked(story: Story) -> None:
    story.fact("compute.MetadataChanged", "a", "active - 1", mark="m9")


def another_than_asked(story: Story) -> None:
    def facts(id: str) -> None:
        story.fact("compute.StopRequested", "b", "active powering-off 1", request_id=id)

    story.ask("reboot", "b", 503, facts)
    story.fact("compute.ServerStopped", "b", "stopped - 4")


def out_of_order(story: Story) -> None:
    first = story.mark("a", "m9", took=3 * SECOND)
    earlier = {"began": first.began - 30 * STEP, "ended": first.began - 20 * STEP}
    second = story.mark("a", "m10", took=3 * SECOND)
    story.entries[story.entries.index(second)] = replace(second, **earlier)


def stopped_though_stopped(story: Story) -> None:
    story.operate("stop", "a", 5)
    story.operate("stop", "a", 6)


def refused_though_allowed(story: Story) -> None:
    story.refuse("stop", "a")


def defect(story: Story) -> None:
    story.ask("show", "a", 500)


def unexpected_refusal(story: Story) -> None:
    story.ask("show", "a", 401)


def hung(story: Story) -> None:
    story.ask("show", "a", None, error="hung")


def behind_a_write(story: Story) -> None:
    """What a projector that lags, hidden from the client, would show."""
    before = story.states["a"]
    story.mark("a", "m9")
    story.show("a", before)


def not_there_after_its_boot(story: Story) -> None:
    story.boot("e")
    story.ask("show", "e", 404)


def not_found_by_an_action(story: Story) -> None:
    story.ask("stop", "a", 404)


def not_listed_after_its_boot(story: Story) -> None:
    story.boot("e")
    story.walk(("b", "a"), walk="x")


def went_back(story: Story) -> None:
    before = story.states["a"]
    story.mark("a", "m9", took=3 * SECOND)
    story.show("a")
    story.show("a", before)


def never_was(story: Story) -> None:
    story.show("a", replace(story.states["a"], mark="nobody's"))


def of_the_future(story: Story) -> None:
    story.show("a", replace(story.states["a"], mark="m9", updated=1_003))
    story.later(SECOND)
    story.mark("a", "m9")


def listed_twice(story: Story) -> None:
    story.walk(("b", "a"), ("a",), walk="x")


def claimed_twice(story: Story) -> None:
    story.fact("fleet.AllocationReleased", "a", generation=1, host="h")
    story.fact("fleet.AllocationClaimed", "a", generation=1, host="h")


def started_twice(story: Story) -> None:
    story.fact("compute.DomainStarted", "b", "active - 1", generation=1)
    story.entries = [
        replace(entry, boots=2) if isinstance(entry, Guest) and entry.server_id == "b" else entry
        for entry in story.entries
    ]


def ended_twice(story: Story) -> None:
    story.fact("compute.ServerStopped", "a", "stopped - 4", operation=2)


def ended_though_nothing_began(story: Story) -> None:
    story.fact("compute.ServerStopped", "a", "stopped - 4", operation=9)


def rebooted_twice_on_its_host(story: Story) -> None:
    story.entries[-2] = replace(story.entries[-2], boots=4)


def never_rebooted_on_its_host(story: Story) -> None:
    story.entries[-2] = replace(story.entries[-2], boots=2)


def stuck(story: Story) -> None:
    story.ask(
        "stop",
        "b",
        202,
        lambda id: story.fact(
            "compute.StopRequested", "b", "active powering-off 1", request_id=id, operation=2
        ),
    )


def room_is_kept(story: Story) -> None:
    story.entries = [
        entry for entry in story.entries if getattr(entry, "type", "") != "fleet.AllocationReleased"
    ]


def room_is_missing(story: Story) -> None:
    story.fact("fleet.AllocationReleased", "a", generation=1, host="h")


def active_but_never_started(story: Story) -> None:
    story.boot("e")
    started = story.entries.pop()
    story.entries.append(replace(started, type="compute.PowerStateObserved"))


def erased(story: Story) -> None:
    guest = story.entries.pop()
    story.entries.append(Held(at=story.at, guest=guest))
    story.put_back()


def erased_and_deleted_by_the_operator(story: Story) -> None:
    erased(story)
    story.delete("b", client=OPERATOR)


def made_again(story: Story) -> None:
    story.entries.append(Held(at=story.at, guest=replace(story.entries[-2], boots=4)))
    story.put_back()


def not_said_again(story: Story) -> None:
    def facts(id: str) -> None:
        fields = {"request_id": id, "operation": 2}
        story.fact("compute.StopRequested", "b", "active powering-off 1", **fields)

    story.ask("stop", "b", 202, facts)
    story.put_back()
    story.fact("compute.OperationTimedOut", "b", "active - 1", operation=2)


def wrong_at_rest(story: Story) -> None:
    story.entries.append(Wrong(sentence="quota of demo: 2 in use, but servers use 1"))


PLANTED = {
    "lost": (lost, lost_boot, lost_delete),
    "refused but done": (refused_but_done,),
    "twice": (done_twice_by_one_request, booted_twice_by_one_key, unknown_and_done_twice),
    "unasked": (unasked, another_than_asked, done_before_it_was_asked),
    "order": (out_of_order,),
    "misjudged": (stopped_though_stopped, refused_though_allowed),
    "answer": (defect, unexpected_refusal, hung),
    "behind a write": (
        *(behind_a_write, not_there_after_its_boot, not_listed_after_its_boot),
        not_found_by_an_action,
    ),
    "went back": (went_back,),
    "never was": (never_was, of_the_future),
    "listed twice": (listed_twice,),
    "done twice": (claimed_twice, started_twice, ended_twice, ended_though_nothing_began),
    "host": (rebooted_twice_on_its_host, never_rebooted_on_its_host),
    "stuck": (stuck,),
    "room": (room_is_kept, room_is_missing),
    "never started": (active_but_never_started,),
    "erased": (erased, erased_and_deleted_by_the_operator, made_again),
    "unsaid": (not_said_again,),
    "at rest": (wrong_at_rest,),
}

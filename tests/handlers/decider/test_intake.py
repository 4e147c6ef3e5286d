"""Who may write commands cannot make a partition believe that it took what is yet to follow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from commands.compute.create import CreateServers
from commands.compute.delete import ReportGuestRemoved
from commands.fleet.place import ReleaseAllocation
from events import topics
from events.compute.server import Server
from events.log.memory import Fault, Operation
from events.message import Message
from events.outcome import CommandFailed
from handlers.decider import Decider
from handlers.decider.marks import marks_of
from handlers.decider.owned import GRACE_US
from handlers.decider.ownership import AWAY_US
from tests.commands.compute.servers import create
from tests.commands.fleet.fleet import register
from tests.handlers.decider.site import CODEC, HOST, Site, settle

FORGED = ReleaseAllocation(server_id="nobody", generation=1)

Deciders = Callable[[Site], list[Decider]]


def one_process(site: Site) -> list[Decider]:
    return [site.decider(domains=("compute", "fleet"))]


def without_handing_over(site: Site) -> list[Decider]:
    return [site.decider(domains=("compute", "fleet"), handing_over=False)]


def a_process_each(site: Site) -> list[Decider]:
    return [site.decider(domain, domains=(domain,)) for domain in ("compute", "fleet")]


EVERYWHERE = pytest.mark.parametrize(
    "deciders", [one_process, without_handing_over, a_process_each]
)


def forge(site: Site, id: str) -> None:
    """A record in the commands of the fleet that nobody's fact led to."""
    site.append(topics.commands("fleet"), "default", FORGED, id=id)


def boot(site: Site, deciders: list[Decider]) -> Server:
    """Ask for a server, and let everybody do what follows."""
    settle(*deciders)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(*deciders)
    asked = create()
    site.ask(asked, asked.project_id)
    settle(*deciders, turns=20)
    states = deciders[0].states("compute", 0, "server")
    assert states
    (server,) = states.values()
    assert isinstance(server, Server)
    return server


def failures(site: Site, domain: str = "fleet") -> list[str]:
    found: list[Message] = [CODEC.decode(record.value) for record in site.events(domain)]
    return [fact.reason for fact in found if isinstance(fact, CommandFailed)]


@EVERYWHERE
def test_a_forged_follow_up_of_the_future_is_named_and_blocks_nothing(deciders: Deciders) -> None:
    site = Site()
    forge(site, "compute.events/0/999999999>0")
    server = boot(site, deciders(site))
    assert server.host == HOST, "the true follow-up passed for taken"
    (reason,) = failures(site)
    assert "event 999999999 of compute.events/0, which has not happened" in reason


def test_a_forged_follow_up_of_the_past_hides_only_what_is_under_way() -> None:
    """Who may write commands can take the place of a true follow-up just before it comes, so that
    the true one passes for taken. What was to follow ends by its deadline, and all that follows
    later is taken: no more than an open command to delete the server would do."""
    site = Site()
    compute, fleet = a_process_each(site)
    settle(compute, fleet)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(compute, fleet)

    def overtake(operation: Operation) -> None:
        if operation == ("append", "compute"):
            site.faults = lambda operation: None
            last = site.events()[-1].headers["ce_position"]
            forge(site, f"compute.events/0/{last}>999999")

    site.faults = overtake
    robbed = create()
    site.ask(robbed, robbed.project_id)
    settle(compute, fleet, turns=20)
    forged = [r for r in site.records(topics.commands("fleet")) if ">999999" in r.headers["ce_id"]]
    assert len(forged) == 1, "it stays in the log, where it can be found"
    server = server_of(compute, robbed)
    assert server.task_state == "scheduling"
    assert server.deadline is not None
    site.now = server.deadline + GRACE_US + 1
    settle(compute, fleet, turns=20)
    assert server_of(compute, robbed).vm_state == "error"
    later = create("5a5f1c7e-0000-4000-8000-00000000000b")
    site.ask(later, later.project_id)
    settle(compute, fleet, turns=20)
    assert server_of(compute, later).host == HOST


def server_of(decider: Decider, asked: CreateServers) -> Server:
    states = decider.states("compute", 0, "server")
    assert states
    server = states[asked.servers[0].server_id]
    assert isinstance(server, Server)
    return server


@EVERYWHERE
def test_a_follow_up_of_a_journal_that_is_not_there_is_named(deciders: Deciders) -> None:
    site = Site()
    for name in ("nothing.events/0/1>0", "compute.events/77/1>0", "compute.events/999999/1>0"):
        forge(site, name)
    assert boot(site, deciders(site)).host == HOST
    assert len(failures(site)) == 3


def test_true_follow_ups_of_another_process_are_all_taken() -> None:
    site = Site()
    assert boot(site, a_process_each(site)).host == HOST
    assert failures(site) == failures(site, "compute") == []


def test_a_log_that_cannot_say_where_a_journal_ends_loses_nothing() -> None:
    site = Site()
    compute, fleet = a_process_each(site)
    settle(compute, fleet)
    asked: list[str] = []

    def silent(operation: Operation) -> Fault | None:
        if operation.process == "fleet" and operation.name == "ends":
            asked.append(operation.name)
            return Fault.UNAVAILABLE
        return None

    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(compute, fleet)
    site.faults = silent
    command = create()
    site.ask(command, command.project_id)
    settle(compute)
    for _ in range(3):
        fleet.step(0.0)
        site.now += AWAY_US
    assert len(asked) == 2, "with a pause"
    (trouble,) = fleet.troubles()
    assert "follow from compute.events/0" in trouble
    later = site.append(topics.reports("fleet"), "default", register("another"))
    settle(fleet)
    hosts = fleet.states("fleet", 0, "host")
    assert hosts is not None and len(hosts) == 2, f"another topic goes on: {later}"
    site.faults = lambda operation: None
    site.now += AWAY_US
    settle(compute, fleet, turns=20)
    assert fleet.troubles() == []
    states = compute.states("compute", 0, "server")
    assert states and all(server.host for server in states.values())
    assert failures(site) == []


def test_an_input_that_led_to_nothing_is_marked_by_the_next_append() -> None:
    """Else a later owner would take a report for unread that was taken long ago."""
    site = Site()
    (decider,) = one_process(site)
    settle(decider)
    gone = ReportGuestRemoved(
        server_id="nobody", project_id="p", host=HOST, generation=1, operation=1
    )
    site.append(topics.reports("compute"), "p", gone, id=f"one:{ReportGuestRemoved.type_name}")
    settle(decider)
    assert site.events() == [], "it leads to nothing"
    site.ask_flavor("one")
    settle(decider)
    marks = marks_of(site.events()[-1])
    assert marks is not None and marks.inputs.get("compute.reports") == 1


def test_what_comes_behind_an_input_that_is_held_stays_behind_it() -> None:
    """It was polled in the turn in which the held one was to be polled once more."""
    site = Site()
    compute, fleet = a_process_each(site)
    settle(compute, fleet)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(compute, fleet)

    def silent(operation: Operation) -> Fault | None:
        return Fault.UNAVAILABLE if operation == ("ends", "fleet") else None

    site.faults = silent
    command = create()
    site.ask(command, command.project_id)
    settle(compute)
    fleet.step(0.0)
    (held,) = site.records(topics.commands("fleet"))
    site.faults = lambda operation: None
    behind = site.append(topics.commands("fleet"), "default", FORGED, id="behind")
    site.now += AWAY_US
    settle(compute, fleet, turns=20)
    assert behind in site.answers()
    caused = [record.headers["ce_causationid"] for record in site.events("fleet")]
    assert held.headers["ce_id"] in caused, "it was passed over"

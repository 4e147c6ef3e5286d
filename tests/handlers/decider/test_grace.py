"""When a deadline passes: after all that hosts may have said while nobody listened."""

from __future__ import annotations

from typing import Any, cast

import pytest

from commands.compute import limits
from commands.compute.boot import ReportBootFailed
from events import topics
from events.compute.server import Server
from handlers.decider import Decider, loop
from handlers.decider import owned as owned_module
from handlers.decider.owned import GRACE_US, LEVEL_MAX_US, Owned, Phase
from handlers.decider.partition import Partition
from tests.commands.compute.servers import create
from tests.commands.fleet.fleet import register
from tests.handlers.decider.booting import booting, failed_build
from tests.handlers.decider.site import CODEC, HOST, Site, settle


def test_reports_that_lie_in_the_log_beat_a_deadline_that_has_passed() -> None:
    """C5: the deciders were away for longer than a build may take."""
    site = Site()
    first, server = booting(site)
    site.append(
        topics.reports("compute"),
        server.project_id,
        failed_build(server),
        id=f"late:{ReportBootFailed.type_name}",
    )
    first._log.expel()  # type: ignore[attr-defined]
    site.now += 3_600_000_000
    second = site.decider("second", domains=("compute", "fleet"))
    settle(second)
    reasons = [
        getattr(CODEC.decode(r.value), "reason", "")
        for r in site.events()
        if "Build" in r.headers["ce_type"] or "BootFailed" in r.headers["ce_type"]
    ]
    assert reasons and reasons[0] == "no disk", reasons


def asked_for_a_host(site: Site) -> tuple[Decider, Decider]:
    """A server that is created; its deciders, of which the fleet's has chosen a host."""
    compute = site.decider("compute", domains=("compute",))
    fleet = site.decider("fleet", domains=("fleet",))
    settle(compute, fleet)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(compute, fleet)
    asked = create()
    site.ask(asked, asked.project_id)
    settle(compute)
    settle(fleet)
    return compute, fleet


def test_an_answer_that_lies_in_the_log_beats_a_deadline_that_passes_meanwhile() -> None:
    """An owner with more to do than it can: what met the deadline waited behind other input."""
    site = Site()
    compute, _ = asked_for_a_host(site)
    site.now += limits.PLACEMENT + 1
    settle(compute)
    types = [r.headers["ce_type"].rpartition(".")[2] for r in site.events()]
    assert types == ["ServerCreated", "ServersRequested", "HostSelected"]


def test_a_deadline_passes_under_any_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for what lay in the log when it was overdue, not for what comes after that."""
    site = Site()
    first, server = booting(site)
    monkeypatch.setattr(first, "_room", lambda: 1)
    for n in range(20):
        site.ask_flavor(f"before-{n}")
    site.now += 3_600_000_000
    took = 0
    while _state(first, server) != "error":
        site.ask_flavor(f"meanwhile-{took}")
        first.step(0.0)
        took += 1
        assert took < 50, "it never passes"
    assert took >= 20


def _state(owner: Decider, server: Server) -> str:
    states = owner.states("compute", 0, "server")
    assert states is not None
    return str(states[server.server_id].vm_state)


def test_a_deadline_waits_until_hosts_could_say_what_they_did() -> None:
    """C5: their reports of the time in which the log was away come within the grace."""
    site = Site()
    first, server = booting(site)
    first._log.expel()  # type: ignore[attr-defined]
    site.now += 3_600_000_000
    second = site.decider("second", domains=("compute", "fleet"))
    settle(second)
    states = second.states("compute", 0, "server")
    assert states is not None and states[server.server_id].task_state is not None
    site.now += GRACE_US + 1
    settle(second)
    states = second.states("compute", 0, "server")
    assert states is not None and states[server.server_id].vm_state == "error"


def succeed(site: Site, owner: Decider, seconds: int, name: str) -> Decider:
    """Let another owner take over, and live for so long."""
    owner._log.expel()  # type: ignore[attr-defined]
    heir = site.decider(name, domains=("compute", "fleet"))
    settle(heir)
    for _ in range(seconds):
        site.now += 1_000_000
        settle(heir, turns=2)
    return heir


def state_of(decider: Decider, server_id: str) -> Server:
    states = decider.states("compute", 0, "server")
    assert states is not None
    server: Server = states[server_id]
    return server


def test_a_deadline_passes_although_owners_change_more_often_than_the_grace() -> None:
    site = Site()
    owner, server = booting(site)
    site.now += 3_600_000_000
    for n in range(3):
        owner = succeed(site, owner, 4, f"owner-{n}")
        if n < 2:
            assert state_of(owner, server.server_id).task_state is not None
    assert state_of(owner, server.server_id).vm_state == "error"


def test_a_pause_of_the_owner_is_no_time_in_which_it_listened() -> None:
    """The log may have been away, without ending its term."""
    site = Site()
    owner, server = booting(site)
    site.now += 3_600_000_000
    owner = succeed(site, owner, 0, "first")
    site.now += 9_000_000
    settle(owner)
    owner = succeed(site, owner, 2, "second")
    assert state_of(owner, server.server_id).task_state is not None, "2 and 2 seconds were heard"
    owner = succeed(site, owner, 6, "third")
    assert state_of(owner, server.server_id).vm_state == "error"


def test_what_was_waited_before_an_outage_is_no_grace_for_what_was_overdue_in_it() -> None:
    """C5: hosts could not report what they did meanwhile."""
    site = Site()
    owner, server = booting(site)
    second = create("22222222-2222-4222-8222-222222222222")
    site.now += 300_000_000
    site.ask(second, second.project_id)
    settle(owner)
    other = second.servers[0].server_id
    assert state_of(owner, other).task_state == "networking"
    site.now += 400_000_000
    owner = succeed(site, owner, 9, "before")
    assert state_of(owner, server.server_id).task_state is not None, "nothing was told too early"
    site.now += 3_600_000_000
    owner = succeed(site, owner, 3, "after")
    assert state_of(owner, server.server_id).vm_state == "error", "it has had its ten seconds"
    assert state_of(owner, other).task_state is not None, "hosts have had three seconds"
    owner = succeed(site, owner, 11, "later")
    assert state_of(owner, other).vm_state == "error"


def test_deadlines_pass_although_the_log_has_dropped_old_input() -> None:
    """What lay there when the term began is too old to be kept, and nothing new comes."""
    site = Site()
    first, server = booting(site)
    first._log.expel()  # type: ignore[attr-defined]
    site.append(
        topics.reports("compute"),
        server.project_id,
        failed_build(server),
        id=f"late:{ReportBootFailed.type_name}",
    )
    reports = site.cluster.partitions[topics.reports("compute"), 0]
    reports.first, reports.records = reports.end, []
    site.now += 3_600_000_000
    second = site.decider("second", domains=("compute", "fleet"))
    settle(second)
    assert state_of(second, server.server_id).task_state is not None
    site.now += GRACE_US + 1
    settle(second)
    states = second.states("compute", 0, "server")
    assert states is not None and states[server.server_id].vm_state == "error"


def test_an_owner_whose_clock_is_behind_the_last_ones_waits_without_haste(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the time of the facts its input was level, by its own clock it was not yet: it looked
    again and again, at full speed (seed 911474)."""
    site = Site()
    first, server = booting(site)
    assert server.deadline is not None
    first._log.expel()  # type: ignore[attr-defined]
    monkeypatch.setattr(topics, "REPORTING", ())  # as in a domain that has no hosts
    monkeypatch.setattr(owned_module, "BATCH_MAX", 1)
    monkeypatch.setattr(loop, "TURNS_MAX", 1)
    site.ask_flavor("one")
    site.ask_flavor("two")
    ahead = site.decider("ahead", domains=("compute", "fleet"))
    site.now = server.deadline + 10 * GRACE_US
    before = len(site.events())
    while len(site.events()) == before:
        ahead.step(0.0)
    ahead._log.expel()  # type: ignore[attr-defined]
    site.now = server.deadline + 1
    behind = site.decider("behind", domains=("compute", "fleet"))
    settle(behind)
    assert behind._patience(1.0) > 0.1


def listening_for_what_never_comes(inputs_end: int) -> Owned:
    """A partition whose reports ended there when its term began, and of which none came."""
    owned = Owned("compute", 0, Partition("compute", 0, CODEC), cast(Any, None))
    owned.phase = Phase.DECIDING
    owned.ends = {topics.reports("compute"): inputs_end}
    return owned


def test_input_that_never_comes_is_waited_for_ten_minutes() -> None:
    """The log may have dropped it in the middle of what it holds. No deadline would ever pass."""
    owned = listening_for_what_never_comes(5)
    assert not owned.listening(LEVEL_MAX_US - 1)
    assert not owned.listening(LEVEL_MAX_US), "now hosts have their time"
    assert owned.listening(LEVEL_MAX_US + GRACE_US)
    assert listening_for_what_never_comes(0).listening(0) is False
    assert owned.passes(LEVEL_MAX_US + GRACE_US) == -1, "nobody has looked yet"


def test_input_of_before_a_look_is_waited_for_ten_minutes() -> None:
    owned = listening_for_what_never_comes(0)
    assert not owned.listening(0)
    looked_at = GRACE_US
    owned.looked(looked_at, owned.term_at, {(topics.reports("compute"), 0): 5})
    assert owned.passes(looked_at + LEVEL_MAX_US - 1) == -1
    assert owned.passes(looked_at + LEVEL_MAX_US) == looked_at

"""A decider writes no type above the enabled feature level, and none that it does not know."""

from __future__ import annotations

import pytest

import handlers.reactions  # noqa: F401 - registers what follows
from commands.compute.boot import BuildGuest
from commands.decision import DECIDERS, Decision, View, accept
from commands.fleet.place import PlaceServers
from events import topics
from events.compute.flavor import FlavorCreated
from events.compute.server.facts import HostSelected
from events.features import FeaturesEnabled, FeaturesRequired, Levels, TooOld
from events.journal import TermBegan
from events.log.contract import Outgoing
from events.log.features_in_log import FeaturesInLog
from events.log.memory import Fault, Operation
from events.log.records import Codec
from events.message import MESSAGES
from handlers.decider import Decider
from handlers.decider.ownership import AWAY_US, ILL_US
from tests.commands.compute.servers import create
from tests.commands.fleet.fleet import register
from tests.handlers.decider.site import CODEC, HOST, Site, flavors, settle

SENTENCE = "needs feature level 2, and 1 is enabled: every process has to be upgraded first"


def codec_of(site: Site, known: int = 2) -> Codec:
    """As a process of a version has it, which looks at the log at each request."""
    levels = Levels(known, clock=lambda: site.now / 1e6)
    levels.look_up = FeaturesInLog(site.log("looks"), CODEC)
    return Codec(levels=levels)


def write(site: Site, message: FeaturesEnabled | FeaturesRequired) -> None:
    record = Outgoing(topics.FEATURES, "level", CODEC.encode(message), {}, 0)
    site.log("raiser").append([record])


def enable(site: Site, level: int = 2) -> None:
    site.now += 2_000_000
    write(site, FeaturesEnabled(level=level, at=1, members=[]))


def test_a_fact_of_a_younger_type_is_refused_until_its_level_is_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FlavorCreated, "since_level", 2)
    site = Site()
    decider = site.decider(codec=codec_of(site))
    early = site.ask_flavor("one")
    settle(decider)
    (answer,) = site.answers()[early]
    assert (answer.status, answer.code) == (503, "featureNotEnabled")
    assert answer.detail == f"compute.FlavorCreated {SENTENCE}"
    assert flavors(decider) == set()
    enable(site)
    late = site.ask_flavor("one")
    settle(decider)
    assert [answer.status for answer in site.answers()[late]] == [0]
    assert flavors(decider) == {"one"}


def test_a_command_is_refused_where_what_follows_from_it_may_not_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fact whose follow-up can never be sent would be half of a decision."""
    monkeypatch.setattr(PlaceServers, "since_level", 2)
    site = Site()
    decider = site.decider(codec=codec_of(site))
    asked = create()
    early = site.ask(asked, asked.project_id)
    settle(decider)
    assert [answer.status for answer in site.answers()[early]] == [503]
    assert not list(site.events())
    refusals = site.records(topics.refusals("compute"))
    assert {record.headers["ce_type"] for record in refusals} == {"chronova.outcome.CommandRefused"}
    enable(site)
    late = site.ask(asked, asked.project_id)
    settle(decider)
    assert [answer.status for answer in site.answers()[late]] == [0]


def test_a_decision_may_ask_for_the_level_and_do_it_in_the_old_way_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "compute.Ping"
    seen: list[int] = []

    def decide(view: View, command: object, at: int) -> Decision:
        seen.append(view.level)
        return accept()

    known = DECIDERS[name]
    monkeypatch.setitem(DECIDERS, name, type(known)(known.command, decide, None, None))
    site = Site()
    codec = codec_of(site)
    decider = site.decider(codec=codec)
    for level in (1, 2):
        site.ask(known.command(key="key"), "key")
        settle(decider)
        assert seen == [1, 2][:level]
        enable(site)
        codec.levels.look()


def test_an_effect_waits_where_this_process_has_not_seen_the_level_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its fact was committed by another owner, who had seen it."""
    site = Site()
    first = site.decider("first", domains=("compute", "fleet"))
    settle(first)
    site.append(topics.reports("fleet"), "default", register(HOST))
    site.ask(create(), create().project_id)
    held = topics.dispatch(HOST)

    def no_work(operation: Operation) -> Fault | None:
        away = operation.process == "first" and operation.name == "append"
        return Fault.UNAVAILABLE if away else None

    site.faults = no_work
    settle(first)
    first._log.expel()  # type: ignore[attr-defined]
    site.faults = lambda operation: None
    assert site.records(held) == []
    monkeypatch.setattr(BuildGuest, "since_level", 2)
    second = site.decider("second", domains=("compute", "fleet"), codec=codec_of(site))
    settle(second)
    assert site.records(held) == []
    (trouble,) = second.troubles()
    assert trouble.startswith(f"{held}/0 cannot take 1 records: compute.BuildGuest needs feature")
    enable(site)
    site.now += 60_000_000
    settle(second)
    (work,) = site.records(held)
    assert isinstance(CODEC.decode(work.value), BuildGuest)
    assert second.troubles() == []


def test_a_version_that_is_too_old_begins_no_term() -> None:
    """It slept while the level rose."""
    site = Site()
    write(site, FeaturesRequired(level=2, at=1, members=[]))
    old = site.decider("old", codec=codec_of(site, known=1))
    with pytest.raises(TooOld):
        settle(old)
    old.close()
    assert site.records(topics.events("compute")) == []
    settle(site.decider("new", codec=codec_of(site, known=2)))
    assert len(site.records(topics.events("compute"))) == 1


def test_a_term_waits_where_the_level_cannot_be_read() -> None:
    site = Site()
    decider = site.decider(codec=codec_of(site))

    def away(operation: Operation) -> Fault | None:
        return Fault.UNAVAILABLE if operation.process == "looks" else None

    site.faults = away
    settle(decider)
    assert site.records(topics.events("compute")) == []
    (trouble,) = decider.troubles()
    assert trouble.startswith("compute.events/0: ")
    site.faults = lambda operation: None
    site.now += AWAY_US
    settle(decider)
    assert flavors(decider) == set()


def test_a_fact_of_an_unknown_type_makes_its_partition_wait_and_is_not_folded_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Yesterday's decider finds in its own journal what only today's writes."""
    site = Site()
    newer = site.decider("newer")
    site.ask_flavor("one")
    settle(newer)
    newer.close()
    ended = len(site.events())
    older = site.decider("older")
    with monkeypatch.context() as patch:
        patch.delitem(MESSAGES, FlavorCreated.type_name)
        asked = site.ask_flavor("two")
        settle(older)
        assert older.states("compute", 0, "flavor") is None
        (trouble,) = older.troubles()
        assert "no message is called 'compute.FlavorCreated'" in trouble
        assert len(site.events()) == ended and asked not in site.answers()
    site.now += ILL_US
    settle(older)
    assert flavors(older) == {"one", "two"}
    assert older.troubles() == []
    added = site.records(topics.events("compute"))[ended:]
    assert {type(CODEC.decode(record.value)) for record in added} == {TermBegan, FlavorCreated}


@pytest.mark.parametrize("handing_over", [True, False])
def test_what_follows_from_a_follow_up_waits_for_its_level(
    monkeypatch: pytest.MonkeyPatch, handing_over: bool
) -> None:
    """Nobody would send the follow-up again: it was refused, and the server never built."""
    monkeypatch.setattr(BuildGuest, "since_level", 2)
    site = Site()
    codec = codec_of(site)
    both = ("compute", "fleet")
    decider = site.decider(domains=both, codec=codec, handing_over=handing_over)
    booting_at(site, decider)
    (trouble,) = decider.troubles()
    assert trouble.startswith(f"{topics.dispatch(HOST)}/0 cannot take 1 records: ")
    assert SENTENCE in trouble
    assert site.records(topics.dispatch(HOST)) == []
    enable(site)
    site.now += 10_000_000
    settle(decider)
    (work,) = site.records(topics.dispatch(HOST))
    assert isinstance(CODEC.decode(work.value), BuildGuest)
    assert decider.troubles() == []


@pytest.mark.parametrize("handing_over", [True, False])
def test_a_follow_up_whose_fact_may_not_be_written_waits_for_the_level(
    monkeypatch: pytest.MonkeyPatch, handing_over: bool
) -> None:
    """Its partition waits with it, and says so; others go on."""
    monkeypatch.setattr(HostSelected, "since_level", 2)
    site = Site()
    codec = codec_of(site)
    both = ("compute", "fleet")
    decider = site.decider(domains=both, codec=codec, handing_over=handing_over)
    booting_at(site, decider)
    (trouble,) = decider.troubles()
    assert trouble == f"compute.events/0: compute.HostSelected {SENTENCE}"
    flavor = site.ask_flavor("behind")
    report = site.append(topics.reports("fleet"), "default", register("another"))
    site.now += 2_000_000
    settle(decider)
    assert flavor not in site.answers()
    hosts = decider.states("fleet", 0, "host")
    assert hosts is not None and len(hosts) == 2, report
    enable(site)
    settle(decider)
    (work,) = site.records(topics.dispatch(HOST))
    assert isinstance(CODEC.decode(work.value), BuildGuest)
    assert [answer.status for answer in site.answers()[flavor]] == [0]
    assert decider.troubles() == []


def booting_at(site: Site, decider: Decider) -> None:
    """A server is asked for, and there is a host for it."""
    settle(decider)
    site.append(topics.reports("fleet"), "default", register(HOST))
    settle(decider)
    asked = site.ask(create(), create().project_id)
    settle(decider)
    assert [answer.status for answer in site.answers()[asked]] == [0]

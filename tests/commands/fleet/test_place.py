"""Placing: capacity, all or nothing, generations, evidence."""

from __future__ import annotations

from typing import Any

import pytest

from commands.fleet.judges import judges
from commands.fleet.place import ReleaseAllocation, place_servers
from commands.fleet.policy import Policy
from commands.fleet.service import DisableService, ForceDownService, ReportServiceDown
from events.fleet.allocation import (
    AllocationClaimed,
    AllocationReleased,
    AllocationWithheld,
    RemovalAskedAgain,
)
from events.fleet.evidence import FilterCount
from events.fleet.host import ServiceForcedDown
from events.fleet.shard import REFUSALS_MAX, AllocationRefused, ShardState
from handlers.reaction import Send
from handlers.reactions.delete import remove_again
from tests.commands.fleet.fleet import Fleet, place, register


def fleet(*names: str) -> Fleet:
    return Fleet().when(*(register(name) for name in names))


def claim_of(fleet: Fleet) -> AllocationClaimed:
    (claim,) = fleet.last.events
    assert isinstance(claim, AllocationClaimed)
    return claim


def refusal_of(fleet: Fleet) -> AllocationRefused:
    refusal = fleet.last.events[-1]
    assert isinstance(refusal, AllocationRefused)
    return refusal


def counts(filtered: list[FilterCount]) -> list[tuple[str, int]]:
    return [(count.filter, count.remaining) for count in filtered]


def test_a_claim_takes_room_and_says_why() -> None:
    f = fleet("a", "b", "c").when(place("s1", vcpus=2, disk_gib=3))
    claim = claim_of(f)
    assert (claim.host, claim.node, claim.availability_zone) == ("a", "a.example", "nova")
    assert claim.alternates == ["b", "c"]
    host = f.host("a")
    assert (host.used_vcpus, host.used_ram_mib, host.used_disk_gib, host.servers) == (2, 1024, 3, 1)
    evidence = claim.evidence
    assert (evidence.hosts_total, evidence.tied, evidence.seed, evidence.draw) == (3, 3, 7, 0)
    assert counts(evidence.filtered) == [
        ("Capacity", 3),
        ("ComputeStatus", 3),
        ("ComputeFilter", 3),
        ("ComputeCapabilitiesFilter", 3),
        ("ImagePropertiesFilter", 3),
        ("ServerGroupAntiAffinityFilter", 3),
        ("ServerGroupAffinityFilter", 3),
        ("SameHostFilter", 3),
        ("DifferentHostFilter", 3),
    ]
    assert [score.host for score in evidence.best] == ["a", "b", "c"]


def test_the_emptier_host_wins() -> None:
    f = fleet("a", "b").when(place("s1")).when(place("s2"))
    assert f.placed() == {"s1": "a", "s2": "b"}
    ram = claim_of(f).evidence.weighers[1]
    assert (ram.weigher, ram.multiplier, ram.low, ram.high) == ("RAMWeigher", 1.0, 0.0, 8192.0)
    best = claim_of(f).evidence.best
    assert [(score.host, score.raw[1], score.normalised[1]) for score in best] == [
        ("b", 8192.0, 1.0),
        ("a", 7168.0, 0.875),
    ]


def test_negative_multipliers_pack() -> None:
    policy = Policy(
        multipliers={
            "ram_weight_multiplier": -1.0,
            "cpu_weight_multiplier": -1.0,
            "disk_weight_multiplier": -1.0,
        }
    )
    f = fleet("a", "b").when(place("s1"))
    decision = place_servers(f, place("s2"), 9, judges(policy))
    assert [event.host for event in decision.events] == ["a"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"vcpus": 4}, True),
        ({"vcpus": 5}, False),  # max_unit is what the host has, whatever the ratio
        ({"ram_mib": 8192}, True),
        ({"ram_mib": 8193}, False),
        ({"disk_gib": 100}, True),
        ({"disk_gib": 101}, False),
        ({"extra_specs": {"resources:VCPU": "5"}}, False),
        ({"vcpus": 5, "extra_specs": {"resources:VCPU": "0"}}, True),
        ({"extra_specs": {"resources:CUSTOM_GOLD": "1"}}, False),
        ({"extra_specs": {"resources:VCPU": "\u00b2"}}, True),
        ({"extra_specs": {"resources:VCPU": "\u0665"}}, True),
        ({"extra_specs": {"resources:VCPU": "5" * 5000}}, False),
        ({"extra_specs": {"hw:cpu_policy": "dedicated"}}, False),
        ({"extra_specs": {"trait:HW_CPU_X86_AVX": "required"}}, True),
        ({"extra_specs": {"trait:HW_CPU_X86_AVX": "forbidden"}}, False),
        ({"image_properties": {"trait:HW_CPU_X86_AVX2": "required"}}, False),
    ],
)
def test_capacity(wanted: dict[str, Any], fits: bool) -> None:
    f = Fleet().when(register("a", traits=["HW_CPU_X86_AVX"])).when(place("s1", **wanted))
    assert isinstance(f.last.events[0], AllocationClaimed if fits else AllocationRefused)


def test_ratios_over_allocate_and_end() -> None:
    f = fleet("a").when(*(place(f"s{n}", vcpus=4, ram_mib=1) for n in range(4)))
    assert f.host("a").used_vcpus == 16
    refusal = refusal_of(f.when(place("s5", vcpus=1, ram_mib=1)))
    assert counts(refusal.filtered) == [("Capacity", 0)]
    assert refusal.reason == "No valid host was found. Capacity passed none of 1 hosts (1 in all)."


def test_all_or_nothing() -> None:
    f = fleet("a", "b").when(place("s1", "s2", "s3", ram_mib=8192))
    refusal = refusal_of(f)
    assert len(f.last.events) == 1
    assert (refusal.placeable, refusal.server_ids) == (2, ["s1", "s2", "s3"])
    assert "for server 3 of 3" in refusal.reason
    assert f.host("a").servers == f.host("b").servers == 0


def test_servers_of_one_request_see_each_other() -> None:
    f = fleet("a", "b", "c").when(place("s1", "s2", "s3", ram_mib=8192))
    assert sorted(f.placed().values()) == ["a", "b", "c"]
    assert [event.evidence.draw for event in f.last.events] == [0, 1, 2]  # type: ignore[attr-defined]


def test_no_hosts_at_all() -> None:
    refusal = refusal_of(Fleet().when(place("s1")))
    assert refusal.hosts_total == 0
    assert "no compute hosts" in refusal.reason


def test_asking_again_changes_nothing() -> None:
    f = fleet("a").when(place("s1"))
    f.when(place("s1")).nothing().when(place("s1", generation=0)).nothing()
    assert f.host("a").servers == 1


def test_a_refusal_is_remembered() -> None:
    f = Fleet().when(place("s1"), register("a"))
    f.when(place("s1")).nothing()
    assert claim_of(f.when(place("s1", generation=2))).host == "a"


def test_the_memory_of_refusals_is_bounded() -> None:
    f = Fleet().when(*(place(f"s{n}") for n in range(2 * REFUSALS_MAX + 1)))
    shard: ShardState = f.get("shard", "default")
    assert len(shard.refused) + len(shard.refused_before) <= 2 * REFUSALS_MAX
    f.when(place(f"s{2 * REFUSALS_MAX}")).nothing()
    f.when(place(f"s{REFUSALS_MAX}")).nothing()


def test_a_newer_attempt_gives_the_older_claim_back() -> None:
    f = fleet("a", "b").when(place("s1")).when(place("s1", generation=2, excluded=("a",)))
    released, claimed = f.last.events
    assert isinstance(released, AllocationReleased) and released.reason == "replaced"
    assert isinstance(claimed, AllocationClaimed) and claimed.host == "b"
    assert counts(claimed.evidence.filtered)[2] == ("ExcludedHosts", 1)
    assert (f.host("a").servers, f.host("b").servers) == (0, 1)


def test_a_newer_attempt_may_use_the_room_it_gives_back() -> None:
    f = fleet("a").when(place("s1", ram_mib=8192)).when(place("s1", generation=2, ram_mib=8192))
    assert f.placed() == {"s1": "a"}
    assert f.host("a").used_ram_mib == 8192


def test_a_refused_newer_attempt_leaves_no_older_claim() -> None:
    f = fleet("a").when(place("s1")).when(place("s1", generation=2, excluded=("a",)))
    assert [type(event) for event in f] == [AllocationReleased, AllocationRefused]
    assert f.host("a").servers == 0


def test_release() -> None:
    f = fleet("a").when(place("s1", disk_gib=5))
    f.when(ReleaseAllocation(server_id="s1", host="a", generation=1))
    (released,) = f.last.events
    assert isinstance(released, AllocationReleased)
    assert (released.host, released.resources.disk_gib) == ("a", 5)
    host = f.host("a")
    assert (host.used_vcpus, host.used_ram_mib, host.used_disk_gib, host.servers) == (0, 0, 0, 0)
    f.when(ReleaseAllocation(server_id="s1", host="a", generation=1)).nothing()


@pytest.mark.parametrize(
    "release",
    [
        ReleaseAllocation(server_id="s1", host="a", generation=1),
        ReleaseAllocation(server_id="s1", host="b", generation=2),
        ReleaseAllocation(server_id="unknown", host="a", generation=9),
    ],
)
def test_a_release_of_something_else_changes_nothing(release: ReleaseAllocation) -> None:
    f = fleet("a").when(place("s1", generation=2))
    f.when(release).nothing()
    assert f.placed() == {"s1": "a"}


SILENT = ReleaseAllocation(server_id="s1", host="a", generation=1, unconfirmed=True)


def test_the_room_on_a_silent_host_is_withheld_until_it_is_confirmed() -> None:
    """M8: the guest may still start there."""
    f = fleet("a").when(place("s1", vcpus=2))
    f.when(SILENT)
    (withheld,) = f.last.events
    assert isinstance(withheld, AllocationWithheld)
    assert f.host("a").used_vcpus == 2
    f.when(SILENT).nothing()
    f.when(ReleaseAllocation(server_id="s1", host="a", generation=1))
    (released,) = f.last.events
    assert isinstance(released, AllocationReleased)
    assert (f.host("a").used_vcpus, f.host("a").servers) == (0, 0)


def test_a_host_that_starts_is_asked_again_about_what_is_withheld_there() -> None:
    f = Fleet().when(register("a"), place("s1"), place("s2"), SILENT)
    f.when(register("a"))
    (asked,) = f.last.events
    assert isinstance(asked, RemovalAskedAgain)
    assert (asked.server_id, asked.host, asked.generation) == ("s1", "a", 1)
    (follow,) = remove_again(asked, None)
    assert isinstance(follow, Send)
    assert follow.key == asked.project_id
    f.when(ReleaseAllocation(server_id="s1", host="a", generation=1))
    f.when(register("a")).nothing()


@pytest.mark.parametrize("batch", [1, 10])
def test_declaring_a_host_dead_releases_what_waits_for_its_word_and_no_more(batch: int) -> None:
    f = Fleet(batch).when(register("a"), place("s1"), place("s2"), SILENT)
    f.when(ForceDownService(host="a", forced_down=True))
    down, released = f.last.events
    assert isinstance(down, ServiceForcedDown)
    assert isinstance(released, AllocationReleased)
    assert (released.server_id, released.reason) == ("s1", "forced down")
    assert f.placed() == {"s2": "a"}
    f.when(ReleaseAllocation(server_id="s2", host="a", generation=1, unconfirmed=True))
    assert f.placed() == {}, "a dead host will not say anything"


def test_a_release_without_a_host_finds_it() -> None:
    f = fleet("a").when(place("s1")).when(ReleaseAllocation(server_id="s1", generation=3))
    assert f.placed() == {}


def test_requested_host_is_judged() -> None:
    f = fleet("a", "b").when(place("s1", requested_host="b"))
    assert claim_of(f).host == "b"
    f.when(ReportServiceDown(host="b", silent_s=61.0)).when(place("s2", requested_host="b"))
    assert counts(refusal_of(f).filtered)[-2:] == [("RequestedHost", 1), ("ComputeFilter", 0)]


def test_a_forced_host_skips_filters_but_not_capacity() -> None:
    f = fleet("a", "b").when(ReportServiceDown(host="b", silent_s=61.0))
    claim = claim_of(f.when(place("s1", requested_host="b", forced=True)))
    assert (claim.host, claim.alternates) == ("b", [])
    f.when(place("s2", requested_host="b", forced=True, ram_mib=8192))
    assert counts(refusal_of(f).filtered) == [
        ("Capacity", 1),
        ("ComputeStatus", 1),
        ("RequestedHost", 0),
    ]


def test_disabled_hosts_are_out() -> None:
    f = fleet("a", "b").when(DisableService(host="a")).when(place("s1"))
    assert claim_of(f).host == "b"


def test_a_decision_does_not_depend_on_the_order_of_the_state() -> None:
    names = ["c", "a", "d", "b"]
    hosts = {claim_of(fleet(*names[n:], *names[:n]).when(place("s1"))).host for n in range(4)}
    assert hosts == {"a"}


def test_random_choices_come_from_the_seed() -> None:
    some = judges(Policy(host_subset_size=3))
    f = fleet("a", "b", "c", "d")
    chosen = []
    for seed in range(40):
        command = place("s1", seed=seed)
        first, again = (place_servers(f, command, 5, some) for _ in range(2))
        assert first == again
        claim = first.events[0]
        assert isinstance(claim, AllocationClaimed)
        assert claim.host not in claim.alternates
        assert claim.host in {score.host for score in claim.evidence.best}
        chosen.append(claim.host)
    assert set(chosen) == {"a", "b", "c"}


def test_shuffling_is_among_the_best_only() -> None:
    some = judges(Policy(shuffle_best_same_weighed_hosts=True))
    f = fleet("a", "b", "c").when(place("s0", requested_host="c"))
    chosen = {
        place_servers(f, place("s1", seed=seed), 5, some).events[0].host  # type: ignore[attr-defined]
        for seed in range(40)
    }
    assert chosen == {"a", "b"}


def test_the_fingerprint_tells_other_questions_apart() -> None:
    f = fleet("a")
    marks = [
        claim_of(f.when(asked)).evidence.spec_fingerprint
        for asked in (place("1"), place("2"), place("3", vcpus=2), place("4", excluded=("z",)))
    ]
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3
    other = place_servers(f, place("5"), 1, judges(Policy(host_subset_size=2))).events[0]
    assert isinstance(other, AllocationClaimed)
    assert other.evidence.spec_fingerprint not in marks


def test_unknown_names_in_a_policy_are_refused() -> None:
    with pytest.raises(ValueError, match="no filter is called Nofilter"):
        judges(Policy(enabled_filters=("Nofilter",)))
    with pytest.raises(ValueError, match="no weigher is called Noweigher"):
        judges(Policy(enabled_weighers=("Noweigher",)))
    with pytest.raises(ValueError, match="no weigher has the option ram_weight"):
        judges(Policy(multipliers={"ram_weight": 2.0}))
    with pytest.raises(ValueError, match="host_subset_size"):
        Policy(host_subset_size=0)

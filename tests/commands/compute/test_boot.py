from __future__ import annotations

from typing import Any

import pytest

from commands.compute import boot
from commands.compute.delete import (
    DeleteServer,
    RemoveGuest,
    ReportGuestRemoved,
    ReportRemovalFailed,
)
from commands.fleet.place import PlaceServers, ReleaseAllocation
from events.compute.server import facts as f
from tests.commands.compute.servers import HOST, P, S, active, building, compute, created
from tests.parts.given import NOW


def select(generation: int = 1, host: str = HOST) -> boot.SelectHost:
    return boot.SelectHost(
        server_id=S,
        project_id=P,
        generation=generation,
        host=host,
        node=host,
        alternates=["host-2"],
        availability_zone="nova",
    )


def report(
    kind: type, generation: int = 1, operation: int = 1, host: str = HOST, **fields: Any
) -> Any:
    return kind(
        server_id=S,
        project_id=P,
        host=host,
        generation=generation,
        operation=operation,
        **fields,
    )


def test_the_host_is_told_all_that_it_needs() -> None:
    story = compute(created()).when(select())
    story.happened(f.HostSelected)
    (work,) = story.follows(boot.BuildGuest)
    assert work.guest.image.checksum == "a" * 128
    assert work.guest.flavor.ram_mib == 512
    assert work.generation == 1
    dispatched = [out for out in story.outgoing if out.topic.startswith("compute.dispatch.")]
    assert [out.key for out in dispatched] == [HOST]


def test_a_boot_runs_through_novas_task_states() -> None:
    story = compute(created()).when(select())
    seen = [story.state("server", S).task_state]
    for kind in (boot.ReportImageFetched, boot.ReportDisksCreated):
        story.when(report(kind))
        seen.append(story.state("server", S).task_state)
    story.when(report(boot.ReportDomainStarted, power_state=1)).happened(f.DomainStarted)
    server = story.state("server", S)
    assert seen == ["networking", "block_device_mapping", "spawning"]
    assert (server.vm_state, server.task_state, server.power_state) == ("active", None, 1)
    assert server.launched_at == NOW
    assert server.deadline is None


def test_selecting_the_same_host_again_changes_nothing() -> None:
    compute(created()).when(select()).when(select()).nothing()


def test_a_host_found_too_late_is_given_back() -> None:
    story = compute(created()).when(DeleteServer(server_id=S)).when(select())
    story.happened(f.HostSelectionDiscarded)
    (release,) = story.follows(ReleaseAllocation)
    assert (release.server_id, release.host, release.generation) == (S, HOST, 1)


def test_no_host_is_an_error_with_the_filters_counts() -> None:
    counts = [f.FilterCount(filter="Capacity", hosts=2), f.FilterCount(filter="Zone", hosts=0)]
    story = compute(created()).when(
        boot.FailPlacement(
            server_id=S,
            project_id=P,
            generation=1,
            reason="No valid host was found.",
            hosts_total=3,
            filtered=counts,
        )
    )
    server = story.happened(f.PlacementFailed).state("server", S)
    assert (server.vm_state, server.task_state, server.host) == ("error", None, None)
    assert server.fault.message == "No valid host was found."
    assert "Zone: 0 hosts left" in server.fault.details


@pytest.mark.parametrize("stale", [{"generation": 0}, {"operation": 0}, {"operation": 2}])
def test_stale_reports_do_not_count_and_it_is_recorded(stale: dict[str, Any]) -> None:
    story = compute(*building()).when(report(boot.ReportDomainStarted, power_state=1, **stale))
    story.happened(f.ReportIgnored)
    assert story.state("server", S).vm_state == "building"


def test_a_report_about_a_server_that_is_gone_is_ignored() -> None:
    compute().when(report(boot.ReportDomainStarted, power_state=1)).happened(f.ReportIgnored)


def test_a_failed_build_is_removed_before_the_next_host_is_tried() -> None:
    story = compute(*building()).when(report(boot.ReportBootFailed, reason="no disk"))
    story.happened(f.BuildAbandoned)
    assert [(w.generation, w.operation) for w in story.follows(RemoveGuest)] == [(1, 2)]
    assert story.follows(ReleaseAllocation) == []
    server = story.state("server", S)
    assert (server.vm_state, server.task_state, server.host) == ("building", "networking", HOST)
    story.when(report(ReportGuestRemoved, operation=2))
    story.happened(f.BootFailed, f.RescheduleRequested)
    assert getattr(story.facts[0], "reason", "") == "no disk"
    (place,) = story.follows(PlaceServers)
    assert (place.generation, place.excluded_hosts) == (2, [HOST])
    assert [r.generation for r in story.follows(ReleaseAllocation)] == [1]
    server = story.state("server", S)
    assert (server.vm_state, server.task_state, server.host) == ("building", "scheduling", None)


def test_no_other_host_is_tried_when_the_guest_may_still_be_there() -> None:
    story = compute(*building()).when(report(boot.ReportBootFailed, reason="no disk"))
    story.when(report(ReportRemovalFailed, operation=2, reason="busy")).happened(f.BootFailed)
    server = story.state("server", S)
    assert (server.vm_state, server.fault.message) == ("error", "no disk")


def test_a_guest_that_starts_after_its_build_was_abandoned_does_not_count() -> None:
    story = compute(*building()).when(report(boot.ReportBootFailed, reason="no disk"))
    story.when(report(boot.ReportDomainStarted, power_state=1)).happened(f.ReportIgnored)
    story.when(report(ReportGuestRemoved, operation=1)).nothing()


def test_after_three_hosts_the_server_is_in_error() -> None:
    story = compute(*building())
    for generation in (1, 2):
        host = f"host-{generation}"
        story.when(report(boot.ReportBootFailed, generation, generation, host, reason="no disk"))
        story.when(report(ReportGuestRemoved, generation, generation + 1, host))
        story.when(select(generation + 1, f"host-{generation + 1}"))
    story.when(report(boot.ReportBootFailed, 3, 3, "host-3", reason="no disk")).happened(
        f.BootFailed
    )
    server = story.state("server", S)
    assert (server.vm_state, server.task_state, server.host) == ("error", None, None)
    assert server.fault.message == "no disk"
    assert len(story.follows(ReleaseAllocation)) == 1


def test_reports_after_a_reschedule_are_of_the_older_attempt() -> None:
    story = compute(*building()).when(report(boot.ReportBootFailed, reason="no disk"))
    story.when(select(2, "host-2"))
    story.when(report(boot.ReportDomainStarted, 1, power_state=1)).happened(f.ReportIgnored)
    assert story.state("server", S).vm_state == "building"


def test_a_started_domain_is_reported_once() -> None:
    compute(*active()).when(report(boot.ReportDomainStarted, power_state=1)).happened(
        f.ReportIgnored
    )

from __future__ import annotations

import pytest

from commands.compute import limits
from commands.compute.delete import DeleteServer
from commands.compute.quota import SetQuotas
from commands.fleet.place import PlaceServers
from events.compute.server import SecretsRef
from events.compute.server import facts as f
from tests.commands.compute.servers import FLAVOR, P, S, compute, create, created
from tests.parts.given import NOW

IDS = [f"5a5f1c7e-0000-4000-8000-00000000000{n}" for n in range(1, 6)]


def test_a_server_is_accepted_and_a_host_is_looked_for() -> None:
    story = compute().when(create())
    story.happened(f.ServerCreated, f.ServersRequested)
    server = story.state("server", S)
    assert (server.vm_state, server.task_state, server.power_state) == ("building", "scheduling", 0)
    assert server.deadline is not None
    (place,) = story.follows(PlaceServers)
    assert place.server_ids == [S]
    assert (place.spec.vcpus, place.spec.ram_mib, place.spec.disk_gib) == (1, 512, 1)
    assert place.seed == 7


def test_servers_of_one_request_are_placed_together() -> None:
    story = compute().when(create(*IDS[:3]))
    (place,) = story.follows(PlaceServers)
    assert place.server_ids == IDS[:3]
    assert [story.state("server", id).launch_index for id in IDS[:3]] == [0, 1, 2]


def test_quota_counts_instances_cores_and_ram() -> None:
    project = compute().when(create(*IDS[:2])).state("project", P)
    assert (project.instances, project.cores, project.ram_mib) == (2, 2, 1024)


@pytest.mark.parametrize(
    ("limits", "word"),
    [({"instances": 1}, "instances"), ({"cores": 1}, "cores"), ({"ram": 600}, "ram")],
)
def test_over_quota_nothing_is_made(limits: dict[str, int], word: str) -> None:
    story = compute().when(SetQuotas(project_id=P, limits=limits)).when(create(*IDS[:2]))
    story.refused(403, f"Quota exceeded for {word}")
    assert story.state("server", IDS[0]) is None
    assert story.state("project", P).instances == 0


def test_over_several_quotas_the_message_names_each_with_its_numbers() -> None:
    limits = {"instances": 1, "cores": 1}
    story = compute().when(SetQuotas(project_id=P, limits=limits)).when(create(*IDS[:3]))
    story.refused(403, "Requested 3, 3, but already used 0, 0 of 1, 1 instances, cores")


def test_min_count_takes_what_the_quota_allows() -> None:
    story = compute().when(SetQuotas(project_id=P, limits={"instances": 3}))
    story.when(create(*IDS, min_count=2))
    assert [story.state("server", id) is not None for id in IDS] == [True] * 3 + [False] * 2


def test_unlimited_quota() -> None:
    limits = {"instances": -1, "cores": -1, "ram": -1}
    many = [f"{n:08d}" for n in range(60)]
    story = compute().when(SetQuotas(project_id=P, limits=limits)).when(create(*many))
    assert story.state("project", P).instances == 60


def test_the_same_idempotency_key_makes_no_second_server() -> None:
    story = compute().when(create(fingerprint="abc"))
    story.when(create(fingerprint="abc")).nothing()
    assert story.state("project", P).instances == 1


def test_the_same_key_with_another_body_is_a_conflict() -> None:
    compute().when(create(fingerprint="abc")).when(create(fingerprint="xyz")).refused(409)


def test_an_id_cannot_be_taken_without_the_key() -> None:
    compute(created()).when(create()).refused(409)


def test_the_key_is_remembered_for_a_day_after_the_server_is_gone() -> None:
    story = compute().when(create(fingerprint="abc")).when(DeleteServer(server_id=S))
    assert story.state("server", S) is None
    story.when(create(fingerprint="abc")).nothing()
    story.when(create(fingerprint="xyz")).refused(409)


@pytest.mark.parametrize("lives", IDS[:3])
def test_of_several_servers_one_that_lives_is_enough_to_know_the_request(lives: str) -> None:
    """The others, deleted long ago, are forgotten."""
    several = create(*IDS[:3], fingerprint="abc")
    story = compute(created(lives, fingerprint="abc"))
    before = story.state("server", lives)
    story.when(several).nothing()
    assert story.state("server", lives) is before
    story.when(create(*IDS[:3], fingerprint="xyz")).refused(409)
    assert [story.state("server", id) is not None for id in IDS[:3]].count(True) == 1


def test_a_live_server_of_another_request_is_never_overwritten() -> None:
    story = compute(created(IDS[1], fingerprint="abc"), created(IDS[2], fingerprint="other"))
    story.when(create(*IDS[:3], fingerprint="abc")).refused(409)
    compute(created(IDS[2])).when(create(*IDS[:3])).refused(409)


def test_a_repeated_command_is_decided_once() -> None:
    from events.message import Context

    story = compute()
    context = Context(id="same", time=NOW, reply_to="3")
    assert story.decide(create(), context).outcome == "accepted"
    again = story.decide(create(), context)
    assert again.outcome == "repeated"
    assert story.facts == []
    assert [out.topic for out in story.outgoing] == ["replies"]
    assert story.state("project", P).instances == 1


def test_zero_disk_flavor_is_counted_as_given() -> None:
    assert FLAVOR.disk_gib == 1


def test_a_request_that_is_older_than_its_secrets_is_refused() -> None:
    """They are removed when no server has them; none may come to be without them."""

    def stored(ago: int) -> SecretsRef:
        return SecretsRef(secrets_id="s", user_data=True, stored_at=NOW - ago)

    compute().when(create(secrets=stored(limits.SECRETS_STORED + 1_000_000))).refused(409)
    story = compute().when(create(secrets=stored(limits.SECRETS_STORED - 1_000_000)))
    story.happened(f.ServerCreated, f.ServersRequested)

"""Access to private flavors, also of projects that are gone."""

from __future__ import annotations

from commands.compute.flavor import CreateFlavor
from events.compute.flavor import KEY
from tests.api.compute.world import World, refused


def test_access_of_a_project_that_is_gone_can_be_taken_away(world: World) -> None:
    flavor = CreateFlavor(
        flavor_id="private",
        name="private",
        vcpus=1,
        ram_mib=1,
        root_gib=1,
        is_public=False,
        project_ids=["gone"],
    )
    world.bus.send(flavor, KEY)
    body = {"removeTenantAccess": {"tenant": "gone"}}
    removed = world.post("/flavors/private/action", body, token="admin")
    assert (removed.status_code, removed.json) == (200, {"flavor_access": []})
    refused(world.post("/flavors/private/action", body, token="admin"), 404, "itemNotFound")
    added = world.post(
        "/flavors/private/action", {"addTenantAccess": {"tenant": "gone"}}, token="admin"
    )
    refused(added, 400, "badRequest")


def test_empty_filters_of_operators_lists(world: World) -> None:
    for path in (
        "/os-services?host=",
        "/os-services?binary=",
        "/os-hypervisors?hypervisor_hostname_pattern=",
    ):
        refused(world.get(path, token="admin", version="2.60"), 400, "badRequest")

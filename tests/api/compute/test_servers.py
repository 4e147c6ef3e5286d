"""Show, update, delete of one server."""

from __future__ import annotations

from tests.api.compute.world import World


def test_a_server_boots_and_shows(world: World) -> None:
    answer = world.create()
    assert answer.status_code == 202
    server_id = answer.json["server"]["id"]
    assert answer.headers["location"] == f"http://cloud.test/compute/v2.1/servers/{server_id}"
    shown = world.get(f"/servers/{server_id}").json["server"]
    assert shown["status"] == "BUILD"
    world.work()
    shown = world.get(f"/servers/{server_id}", version="2.104").json["server"]
    assert shown["status"] == "ACTIVE"

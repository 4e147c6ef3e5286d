"""What this cloud does not have yet is an empty list to read and a sentence to write."""

from __future__ import annotations

import uuid

import pytest

from tests.api.compute.world import World, refused


def test_extensions(world: World) -> None:
    listed = world.get("/extensions").json["extensions"]
    assert {"os-keypairs", "OS-EXT-STS", "os-quota-sets"} <= {each["alias"] for each in listed}
    fields = {"alias", "name", "description", "namespace", "updated", "links"}
    assert all(set(each) == fields for each in listed)
    shown = world.get("/extensions/os-keypairs").json["extension"]
    assert shown in listed
    assert world.get("/extensions/os-consoles").json["extension"]["name"] == "Consoles"
    refused(world.get("/extensions/os-teapots"), 404, "itemNotFound")


def test_server_groups(world: World) -> None:
    assert world.get("/os-server-groups").json == {"server_groups": []}
    answer = world.get("/os-server-groups?all_projects=True", token="admin")
    assert answer.json == {"server_groups": []}
    body = {"server_group": {"name": "g", "policies": ["affinity"]}}
    answer = world.post("/os-server-groups", body)
    refused(answer, 501, "notImplemented", "Server groups are not supported")
    refused(world.post("/os-server-groups", body, token="reader"), 403, "forbidden")
    for method in ("GET", "DELETE"):
        answer = world.request(method, f"/os-server-groups/{uuid.uuid4()}")
        refused(answer, 404, "itemNotFound", "could not be found")


def test_migrations(world: World) -> None:
    for query in ("", "?status=done&limit=5&changes-since=2026-01-01"):
        answer = world.get(f"/os-migrations{query}", version="2.80", token="admin")
        assert answer.json == {"migrations": []}
    for query in ("marker=x", "changes-since=never", "colour=red"):
        answer = world.get(f"/os-migrations?{query}", version="2.80", token="admin")
        refused(answer, 400, "badRequest")
    refused(world.get("/os-migrations"), 403, "forbidden", "os-migrations:index")
    path = f"/servers/{world.boot()}/migrations"
    assert world.get(path, version="2.23", token="admin").json == {"migrations": []}
    refused(world.get(f"{path}/1", version="2.23", token="admin"), 404, "itemNotFound")
    refused(world.get(path, version="2.22", token="admin"), 404, "itemNotFound")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("os-volume_attachments", "volumeAttachments"),
        ("os-interface", "interfaceAttachments"),
        ("os-security-groups", "security_groups"),
    ],
)
def test_attachments(world: World, path: str, key: str) -> None:
    server = f"/servers/{world.boot()}"
    assert world.get(f"{server}/{path}", token="reader").json == {key: []}
    refused(world.get(f"{server}/{path}", token="stranger"), 404, "itemNotFound")
    refused(world.get(f"/servers/{uuid.uuid4()}/{path}"), 404, "itemNotFound")
    refused(world.get(f"{server}/{path}/{uuid.uuid4()}"), 404, "itemNotFound")

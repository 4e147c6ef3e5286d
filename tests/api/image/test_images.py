"""Create, show, update, delete: what the record says, who may, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.image.conftest import Site

UUID = "aaaaaaaa-2222-4333-8444-555555555555"


def test_a_created_image_has_every_base_key(site: Site) -> None:
    answer = site.anna("POST", "/v2/images", json={"name": "n", "os_distro": "debian"})
    assert answer.status_code == 201
    image = dict(answer.json)
    id = image["id"]
    assert answer.headers["location"] == f"http://127.0.0.1:8774/image/v2/images/{id}"
    assert answer.headers["openstack-image-import-methods"] == "glance-direct"
    assert image == {
        "id": id,
        "name": "n",
        "status": "queued",
        "visibility": "shared",
        "protected": False,
        "os_hidden": False,
        "owner": "a",
        "disk_format": None,
        "container_format": None,
        "min_disk": 0,
        "min_ram": 0,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "tags": [],
        "created_at": "2027-01-15T08:00:01Z",
        "updated_at": "2027-01-15T08:00:01Z",
        "self": f"/v2/images/{id}",
        "file": f"/v2/images/{id}/file",
        "schema": "/v2/schemas/image",
        "os_distro": "debian",
    }
    assert site.anna.show(id) == image


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"min_disk": -1}, 400, "min_disk"),
        ({"min_disk": "1"}, 400, "min_disk"),
        ({"min_disk": 2**31}, 400, "min_disk"),
        ({"min_disk": 1.5}, 400, "min_disk"),
        ({"name": "x" * 256}, 400, "name"),
        ({"name": 5}, 400, "name"),
        ({"disk_format": "floppy"}, 400, "disk_format"),
        ({"container_format": 1}, 400, "container_format"),
        ({"visibility": "secret"}, 400, "visibility"),
        ({"visibility": None}, 400, "visibility"),
        ({"protected": "true"}, 400, "protected"),
        ({"tags": "a"}, 400, "tags"),
        ({"tags": ["x" * 256]}, 400, "tags/0"),
        ({"id": "no-uuid"}, 400, "id"),
        ({"a_property": 7}, 400, "a_property"),
        ({"a_property": None}, 400, "a_property"),
        ({"a_property": "x" * 65536}, 400, "a_property"),
        ({"a_property": "nul\0"}, 400, "U+0000"),
        ({"tags": ["nul\0"]}, 400, "U+0000"),
        ({"nul\0": "x"}, 400, "U+0000"),
        ({"": "x"}, 400, "name"),
        ({"status": "active"}, 403, "'status' is read-only"),
        ({"size": 5}, 403, "'size' is read-only"),
        ({"checksum": "x"}, 403, "'checksum' is read-only"),
        ({"locations": []}, 403, "'locations' is reserved"),
        ({"os_glance_x": "y"}, 403, "'os_glance_x' is reserved"),
        ({"visibility": "public"}, 403, "publicize_image"),
        ({"owner": "b"}, 403, "change_owner"),
        ({f"p{n}": "" for n in range(129)}, 413, "properties"),
        ({f"p{n}": "x" * 60000 for n in range(6)}, 413, "bytes"),
        ({f"p{n}": "x" * 60000 for n in range(20)}, 413, "too large"),
    ],
)
def test_what_cannot_be_created(site: Site, body: dict[str, Any], status: int, words: str) -> None:
    answer = site.anna("POST", "/v2/images", json=body)
    assert answer.status_code == status
    assert words in answer.json["message"] and answer.json["code"].startswith(str(status))
    assert site.bus.events == []


def test_whole_numbers_may_look_like_fractions(site: Site) -> None:
    assert site.anna.create(min_disk=1.0)["min_disk"] == 1


def test_an_id_is_never_used_twice(site: Site) -> None:
    assert site.anna.create(id=UUID.upper())["id"] == UUID
    assert site.anna.show(UUID.upper())["id"] == UUID
    assert site.bert("POST", "/v2/images", json={"id": UUID}).status_code == 409
    assert site.anna("DELETE", f"/v2/images/{UUID}").status_code == 204
    assert site.anna("POST", "/v2/images", json={"id": UUID}).status_code == 409


def test_an_admin_creates_for_another(site: Site) -> None:
    image = site.admin.create(owner="a", visibility="public")
    assert (image["owner"], image["visibility"]) == ("a", "public")
    assert (
        site.anna.patch(image["id"], {"op": "replace", "path": "/name", "value": "mine"}).json[
            "name"
        ]
        == "mine"
    )


@pytest.mark.parametrize("token", ["reader", "unscoped"])
def test_who_may_not_create(site: Site, token: str) -> None:
    answer = getattr(site, token)("POST", "/v2/images", json={})
    assert answer.status_code == 403
    assert answer.json["title"] == "Forbidden"


def test_a_token_is_needed(site: Site) -> None:
    answer = site.nobody("GET", "/v2/images")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1:8774/identity"'


@pytest.mark.parametrize(
    ("visibility", "status", "change_status"),
    [("private", 404, 404), ("shared", 404, 404), ("community", 200, 403), ("public", 200, 403)],
)
def test_what_others_see_and_may(
    site: Site, visibility: str, status: int, change_status: int
) -> None:
    id = site.admin.create(owner="a", visibility=visibility)["id"]
    path = f"/v2/images/{id}"
    assert site.bert("GET", path).status_code == status
    rename = {"op": "replace", "path": "/name", "value": "stolen"}
    assert site.bert.patch(id, rename).status_code == change_status
    assert site.reader.patch(id, rename).status_code == 403
    assert site.bert("DELETE", path).status_code == change_status
    assert site.bert("PUT", f"{path}/tags/t").status_code == change_status
    assert site.bert("POST", f"{path}/members", json={"member": "b"}).status_code == change_status
    assert site.bert("POST", f"{path}/actions/deactivate").status_code == change_status
    assert site.bert.upload(id, b"x").status_code == change_status
    assert site.bert.upload(id, b"x", "stage").status_code == change_status
    assert site.admin.patch(id, rename).status_code == 200


@pytest.mark.parametrize("id", ["no-uuid", UUID, "%00", "x" * 300, "%ff"])
def test_unknown_images(site: Site, id: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/file"), ("GET", "/members")):
        answer = site.admin(method, f"/v2/images/{id}{path}")
        assert answer.status_code == 404, (method, path)
    assert "No image found with ID" in answer.json["message"]


def test_patches_in_both_dialects(site: Site) -> None:
    id = site.anna.create(old="1")["id"]
    answer = site.anna.patch(
        id,
        {"op": "add", "path": "/a~1b~0c", "value": "slash and tilde"},
        {"op": "replace", "path": "/tags", "value": ["y", "x", "y"]},
        {"op": "remove", "path": "/old"},
    )
    assert answer.status_code == 200
    assert answer.json["a/b~c"] == "slash and tilde" and answer.json["tags"] == ["x", "y"]
    assert "old" not in answer.json
    answer = site.anna.patch(id, {"replace": "/name", "value": "n"}, version="v2.0")
    assert (answer.status_code, answer.json["name"]) == (200, "n")
    events = len(site.bus.events)
    assert site.anna.patch(id).json == answer.json and len(site.bus.events) == events


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"op": "replace", "path": "/none", "value": "x"}, 409, "does not exist"),
        ({"op": "remove", "path": "/none"}, 409, "does not exist"),
        ({"op": "remove", "path": "/name"}, 403, "may not be removed"),
        ({"op": "replace", "path": "/status", "value": "active"}, 403, "read-only"),
        ({"op": "replace", "path": "/id", "value": UUID}, 403, "read-only"),
        ({"op": "add", "path": "/locations", "value": []}, 403, "reserved"),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403, "publicize"),
        ({"op": "replace", "path": "/owner", "value": "b"}, 403, "change_owner"),
        ({"op": "replace", "path": "/owner", "value": None}, 400, "owner"),
        ({"op": "move", "from": "/name", "path": "/x"}, 400, "must be one of"),
        ({"op": "add", "path": "/x"}, 400, "requires a member named 'value'"),
        ({"op": "add", "path": "x", "value": "1"}, 400, "does not start"),
        ({"op": "add", "path": "/x/y", "value": "1"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/", "value": "1"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/x~2", "value": "1"}, 400, "escape"),
        ({"op": "add", "path": 5, "value": "1"}, 400, "path"),
        ({"op": "add", "path": "/x", "value": 1}, 400, "schema"),
        ({"op": "replace", "path": "/min_ram", "value": -1}, 400, "min_ram"),
        ("text", 400, "JSON objects"),
        ({"op": ["add"], "path": "/x", "value": "1"}, 400, "must be one of"),
    ],
)
def test_patches_that_are_refused_change_nothing(
    site: Site, change: Any, status: int, words: str
) -> None:
    id = site.anna.create()["id"]
    before = site.anna.show(id)
    first = {"op": "replace", "path": "/name", "value": "changed"}
    answer = site.anna.patch(id, first, change)
    assert answer.status_code == status and words in answer.json["message"]
    assert site.anna.show(id) == before


def test_other_media_types_are_not_patches(site: Site) -> None:
    id = site.anna.create()["id"]
    answer = site.anna("PATCH", f"/v2/images/{id}", json=[])
    assert answer.status_code == 415
    assert answer.headers["accept-patch"] == (
        "application/openstack-images-v2.1-json-patch, application/openstack-images-v2.0-json-patch"
    )


def test_the_history_stays_where_it_is_when_the_owner_changes(site: Site) -> None:
    id = site.anna.create()["id"]
    changed = {"op": "replace", "path": "/owner", "value": "b"}
    assert site.admin.patch(id, changed).json["owner"] == "b"
    assert site.anna("GET", f"/v2/images/{id}").status_code == 404
    assert site.bert.patch(id, {"op": "add", "path": "/x", "value": "1"}).json["x"] == "1"
    assert site.bert("DELETE", f"/v2/images/{id}").status_code == 204


def test_delete_and_protection(site: Site) -> None:
    id = site.anna.create(protected=True)["id"]
    answer = site.anna("DELETE", f"/v2/images/{id}")
    assert answer.status_code == 403 and "protected" in answer.json["message"]
    site.anna.patch(id, {"op": "replace", "path": "/protected", "value": False})
    assert site.anna("DELETE", f"/v2/images/{id}").status_code == 204
    for method in ("GET", "DELETE"):
        assert site.anna(method, f"/v2/images/{id}").status_code == 404
    assert site.anna.ids() == []


def test_tags_one_by_one(site: Site) -> None:
    id = site.anna.create()["id"]
    path = f"/v2/images/{id}/tags"
    assert site.anna("PUT", f"{path}/green").status_code == 204
    assert site.anna("PUT", f"{path}/{'x' * 256}").status_code == 400
    assert site.anna("PUT", f"{path}/%00").status_code == 400
    assert site.anna.show(id)["tags"] == ["green"]
    assert site.anna("DELETE", f"{path}/green").status_code == 204
    assert site.anna("DELETE", f"{path}/green").status_code == 404


def test_documents(site: Site) -> None:
    for path, status in (("", 300), ("/versions", 200), ("/v1", 300)):
        answer = site.nobody("GET", path)
        assert answer.status_code == status
        assert answer.json["versions"][0] == {
            "id": "v2.17",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": "http://127.0.0.1:8774/image/v2/"}],
        }
    assert site.anna("GET", "/v2").status_code == 404
    assert site.nobody("GET", "/healthcheck").status_code == 200
    schema = site.anna("GET", "/v2/schemas/image").json
    assert schema["name"] == "image" and schema["additionalProperties"]["type"] == "string"
    image = site.anna.create()
    assert set(image) <= set(schema["properties"])
    for name in ("images", "member", "members", "task", "tasks"):
        assert site.anna("GET", f"/v2/schemas/{name}").json["name"] == name
    assert site.anna("GET", "/v2/schemas/none").status_code == 404
    assert site.anna("GET", "/v2/info/import").json["import-methods"]["value"] == ["glance-direct"]
    assert site.anna("GET", "/v2/info/stores").status_code == 404
    assert site.anna("GET", "/v2/info/usage").json == {"usage": {}}
    head = site.anna("HEAD", f"/v2/images/{image['id']}")
    assert head.status_code == 405 and "GET" in head.headers["allow"]


@pytest.mark.parametrize("deleted", [False, True])
def test_two_projects_never_hold_one_id(site: Site, deleted: bool) -> None:
    """Also while the tables do not show the first image yet: both were answered 201."""
    assert site.anna("POST", "/v2/images", json={"id": UUID, "name": "anna's"}).status_code == 201
    if deleted:
        assert site.anna("DELETE", f"/v2/images/{UUID}").status_code == 204
    with site.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM images")
    answer = site.bert("POST", "/v2/images", json={"id": UUID.upper(), "name": "bert's"})
    assert answer.status_code == 409
    assert "already exists" in answer.json["message"]

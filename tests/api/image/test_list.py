"""Lists: who sees what, filters, order, pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from projections.pages import PAGE_BYTES
from tests.api.image.conftest import Site


def names(site: Site, token: str, query: str = "") -> set[str]:
    answer = getattr(site, token)("GET", "/v2/images", query_string=query)
    assert answer.status_code == 200, answer.text
    return {image["name"] for image in answer.json["images"]}


@pytest.fixture
def shelf(site: Site) -> Site:
    """An image of each visibility by project a, one of b, one of a shared with b."""
    for visibility in ("private", "shared", "community", "public"):
        site.admin.create(owner="a", name=visibility, visibility=visibility)
    site.bert.create(name="bert's", visibility="private")
    id = site.anna.create(name="offered")["id"]
    assert site.anna("POST", f"/v2/images/{id}/members", json={"member": "b"}).status_code == 200
    return site


OWN = {"private", "shared", "community", "public", "offered"}


@pytest.mark.parametrize(
    ("token", "query", "expected"),
    [
        ("anna", "", OWN),
        ("bert", "", {"bert's", "public"}),
        ("bert", "visibility=community", {"community"}),
        ("bert", "visibility=all", {"bert's", "public", "community"}),
        ("bert", "visibility=private", {"bert's"}),
        ("bert", "visibility=shared", set()),
        ("bert", "visibility=shared&member_status=pending", {"offered"}),
        ("bert", "visibility=shared&member_status=all", {"offered"}),
        ("bert", "member_status=rejected", {"bert's", "public"}),
        ("bert", "owner=a", {"public"}),
        ("anna", "visibility=shared", {"shared", "offered"}),
        ("admin", "", OWN | {"bert's"}),
        ("admin", "visibility=private", {"private", "bert's"}),
        ("unscoped", "", {"public"}),
    ],
)
def test_who_sees_what(shelf: Site, token: str, query: str, expected: set[str]) -> None:
    assert names(shelf, token, query) == expected


def test_members(shelf: Site) -> None:
    (id,) = [
        i["id"] for i in shelf.anna("GET", "/v2/images").json["images"] if i["name"] == "offered"
    ]
    path = f"/v2/images/{id}/members"
    member = shelf.bert("GET", f"{path}/b").json
    assert member["status"] == "pending" and member["schema"] == "/v2/schemas/member"
    assert shelf.bert("GET", f"/v2/images/{id}").status_code == 200
    assert shelf.anna("PUT", f"{path}/b", json={"status": "accepted"}).status_code == 403
    assert shelf.bert("PUT", f"{path}/b", json={"status": "perhaps"}).status_code == 400
    answer = shelf.bert("PUT", f"{path}/b", json={"status": "accepted"})
    assert (answer.status_code, answer.json["status"]) == (200, "accepted")
    assert "offered" in names(shelf, "bert")
    assert shelf.bert("DELETE", f"/v2/images/{id}").status_code == 403
    assert shelf.bert("POST", path, json={"member": "c"}).status_code == 403
    assert shelf.anna("POST", path, json={"member": "c"}).status_code == 200
    assert shelf.anna("POST", path, json={"member": "c"}).status_code == 409
    assert shelf.anna("POST", path, json={"member": ""}).status_code == 400
    assert shelf.anna("POST", path, json={}).status_code == 400
    assert [m["member_id"] for m in shelf.anna("GET", path).json["members"]] == ["b", "c"]
    assert [m["member_id"] for m in shelf.bert("GET", path).json["members"]] == ["b"]
    assert shelf.bert("GET", f"{path}/c").status_code == 404
    assert shelf.bert("DELETE", f"{path}/b").status_code == 403
    assert shelf.anna("DELETE", f"{path}/b").status_code == 204
    assert shelf.anna("DELETE", f"{path}/b").status_code == 404
    assert shelf.bert("GET", f"/v2/images/{id}").status_code == 404
    private = shelf.anna.create(visibility="private")["id"]
    answer = shelf.anna("POST", f"/v2/images/{private}/members", json={"member": "b"})
    assert answer.status_code == 403


@pytest.fixture
def three(site: Site) -> dict[str, dict[str, Any]]:
    return {
        "x": site.anna.active(b"1", name="x", tags=["t", "u"], os_distro="debian", min_ram=5),
        "y": site.anna.active(b"22", name="y, z", tags=["t"], protected=True, os_distro="arch"),
        "q": site.anna.create(name="q", disk_format="qcow2", os_hidden=True),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "xy"),
        ("name=x", "x"),
        ('name=in:x,"y, z",none', "xy"),
        ("name=in:", ""),
        ("status=active", "xy"),
        ("status=queued", ""),
        ("status=queued&os_hidden=true", "q"),
        ("os_hidden=True&disk_format=in:raw,qcow2", "q"),
        ("protected=true", "y"),
        ("protected=FALSE", "x"),
        ("min_ram=5", "x"),
        ("size_min=2", "y"),
        ("size_max=1", "x"),
        ("size_min=1&size_max=2", "xy"),
        ("tag=t", "xy"),
        ("tag=t&tag=u", "x"),
        ("os_distro=debian", "x"),
        ("os_distro=in:debian,arch", ""),
        ("no_such_property=1", ""),
        ("owner=a", "xy"),
        ("created_at=gt:2027-01-15T08:00:01Z", "y"),
        ("created_at=gte:2027-01-15T08:00:01Z", "xy"),
        ("created_at=lt:2027-01-15T08:00:01Z", ""),
        ("created_at=lte:2027-01-15T08:00:01Z", "x"),
        ("created_at=2027-01-15T08:00:01Z", "x"),
        ("created_at=eq:2027-01-15T09:00:01%2B01:00", "x"),
        ("created_at=neq:2027-01-15T08:00:01", "y"),
        ("updated_at=gt:2030-01-01T00:00:00Z", ""),
        ("checksum=c4ca4238a0b923820dcc509a6f75849b", "x"),
    ],
)
def test_filters(site: Site, three: dict[str, dict[str, Any]], query: str, expected: str) -> None:
    found = site.anna.ids(query)
    assert sorted(found) == sorted(three[key]["id"] for key in expected)


def test_filter_by_hash_and_ids(site: Site, three: dict[str, dict[str, Any]]) -> None:
    x, y = three["x"]["id"], three["y"]["id"]
    assert site.anna.ids(f"os_hash_value={three['x']['os_hash_value']}") == [x]
    assert sorted(site.anna.ids(f"id=in:{x},{y}")) == sorted([x, y])


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=99999999999999999999",
        "marker=none",
        "marker=11111111-2222-4333-8444-555555555555",
        "sort=colour",
        "sort=name:up",
        "sort_key=colour",
        "sort_dir=up",
        "sort=name&sort_key=name",
        "sort_key=name&sort_dir=asc&sort_dir=desc",
        "visibility=secret",
        "member_status=maybe",
        "protected=1",
        "os_hidden=maybe",
        "size_min=-1",
        "size_max=big",
        "min_disk=1.5",
        "created_at=yesterday",
        "created_at=gt:99999-01-01",
        "updated_at=xx:2027-01-15T08:00:01Z",
        'name=in:"open',
        "changes-since=2027-01-15T08:00:01Z",
        "name=%00",
        "%00=x",
        "tag=%00",
    ],
)
def test_bad_queries(site: Site, query: str) -> None:
    answer = site.anna("GET", "/v2/images", query_string=query)
    assert answer.status_code == 400 and answer.json["title"] == "Bad Request"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "c b a"),
        ("sort=name", "c b a"),
        ("sort=name:asc", "a b c"),
        ("sort_key=name&sort_dir=asc", "a b c"),
        ("sort_dir=asc", "a b c"),
        ("sort=min_disk:asc", None),
        ("sort=size:asc,name:asc", "b c a"),
        ("sort=disk_format:asc,name:desc", "c b a"),
        ("sort_key=size&sort_key=name&sort_dir=desc&sort_dir=asc", "a b c"),
        ("sort_key=size&sort_key=name&sort_dir=asc", "b c a"),
        ("sort=created_at:asc", "a b c"),
        ("limit=0", ""),
        ("limit=2", "c b"),
        ("limit=9999", "c b a"),
    ],
)
def test_order(site: Site, query: str, expected: str | None) -> None:
    site.anna.active(b"data", name="a")
    site.anna.create(name="b")
    site.anna.create(name="c")
    answer = site.anna("GET", "/v2/images", query_string=query)
    if expected is None:
        assert answer.status_code == 400
    else:
        assert " ".join(image["name"] for image in answer.json["images"]) == expected


@pytest.mark.parametrize("sort", ["", "sort=name:asc", "sort=size:desc,name:desc", "sort=id:asc"])
def test_pages_follow_each_other_and_show_each_image_once(site: Site, sort: str) -> None:
    for number in range(7):
        name = None if number % 3 == 0 else f"n{number // 2}"
        site.anna.create(name=name)
    everything = site.anna.ids(sort)
    assert len(everything) == 7
    seen: list[str] = []
    query = f"limit=2&{sort}"
    for _ in range(10):
        page = site.anna("GET", "/v2/images", query_string=query).json
        seen += [image["id"] for image in page["images"]]
        assert "marker" not in page["first"] and page["schema"] == "/v2/schemas/images"
        if "next" not in page:
            break
        assert urlsplit(page["next"]).path == "/v2/images"
        query = urlsplit(page["next"]).query
    assert seen == everything


def test_the_links_keep_the_query(site: Site) -> None:
    id = site.anna.create(name="ü &")["id"]
    page = site.anna("GET", "/v2/images", query_string="limit=1&name=%C3%BC+%26&tag=").json
    assert page["images"] == []
    page = site.anna("GET", "/v2/images", query_string="limit=1&name=%C3%BC+%26").json
    assert page["first"] == "/v2/images?limit=1&name=%C3%BC+%26"
    assert page["next"] == f"/v2/images?limit=1&name=%C3%BC+%26&marker={id}"
    assert site.anna("GET", "/v2/images").json["first"] == "/v2/images"


def test_a_page_has_so_many_bytes(site: Site) -> None:
    """A thousand of the longest images would be a quarter of a GiB."""
    long = {f"p{number}": "x" * 60_000 for number in range(4)}
    made = [site.anna.create(**long)["id"] for _ in range(20)]
    query, found, sizes = "limit=1000&sort=created_at:asc", list[str](), list[int]()
    while query:
        answer = site.anna("GET", "/v2/images", query_string=query)
        sizes.append(len(answer.content))
        found += [image["id"] for image in answer.json["images"]]
        query = urlsplit(answer.json.get("next", "")).query
    assert found == made
    assert len(sizes) == 2
    assert PAGE_BYTES <= sizes[0] < PAGE_BYTES + 300_000

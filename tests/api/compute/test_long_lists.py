"""Lists that are longer than one answer may be."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from projections import pages
from tests.api.compute.test_key_pairs import ssh_key
from tests.api.compute.world import World, refused


def followed(
    world: World, path: str, plural: str, query: str = "?", **given: Any
) -> list[list[Any]]:
    """The items of each page."""
    found = list[list[Any]]()
    while query:
        body = world.get(path + query, **given).json
        found.append(body[plural])
        (link,) = body.get(f"{plural}_links", [{"href": ""}])
        query = f"?{urlsplit(link['href']).query}" if link["href"] else ""
    return found


def test_key_pairs_end_after_so_many_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public key may be as long as a body: a thousand of them were 110 MB in one answer."""
    for name in ("one", "three", "two"):
        body = {"keypair": {"name": name, "public_key": f"{ssh_key()} {'c' * 50_000}"}}
        assert world.post("/os-keypairs", body, token="stranger").status_code == 200
    monkeypatch.setattr(pages, "PAGE_BYTES", 100_000)
    found = followed(world, "/os-keypairs", "keypairs", version="2.35", token="stranger")
    assert [[e["keypair"]["name"] for e in page] for page in found] == [["one", "three"], ["two"]]
    answer = world.get("/os-keypairs", version="2.34", token="stranger")
    refused(answer, 400, "badRequest", "From microversion 2.35 on it can be asked for in pages")
    monkeypatch.undo()
    answer = world.get("/os-keypairs", version="2.34", token="stranger")
    assert len(answer.json["keypairs"]) == 3


@pytest.mark.parametrize("key", ["flavorid", "name", "description"])
def test_flavors_end_after_so_many_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    for number in range(3):
        name = f"{key}-{number}"
        world.flavor(name, description="d" * 50_000, is_public=False)
    monkeypatch.setattr(pages, "PAGE_BYTES", 100_000)
    for path in ("/flavors", "/flavors/detail"):
        query = f"?is_public=false&sort_key={key}&sort_dir=desc"
        found = followed(world, path, "flavors", query, version="2.55", token="admin")
        ids = [flavor["id"] for page in found for flavor in page]
        assert {f"{key}-{number}" for number in range(3)} <= set(ids)
        assert len(ids) == len(set(ids))
        assert {len(page) for page in found[:-1]} == {2}


def test_usage_of_very_many_servers_is_read_in_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 2.40 it has no pages; sums of all are still told, for they are short."""
    for _ in range(3):
        world.boot()
    monkeypatch.setattr("api.compute.usage.SHOWN_MAX", 2)
    for path in ("/os-simple-tenant-usage?detailed=1", "/os-simple-tenant-usage/" + "1" * 32):
        answer = world.get(path, version="2.39", token="admin")
        refused(answer, 400, "badRequest", "From microversion 2.40 on it can be asked for in pages")
        assert world.get(path, version="2.40", token="admin").status_code == 200
    (usage,) = world.get("/os-simple-tenant-usage", version="2.39", token="admin").json[
        "tenant_usages"
    ]
    assert "server_usages" not in usage
    monkeypatch.setattr("api.compute.usage.SHOWN_MAX", 3)
    path = "/os-simple-tenant-usage/" + "1" * 32
    whole = world.get(path, version="2.39", token="admin").json["tenant_usage"]
    assert len(whole["server_usages"]) == 3

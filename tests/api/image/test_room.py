"""Uploads do not fill the site's disk, and a project does not fill the store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from tests.api.image.conftest import Site
from tests.api.image.samples import qcow2
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer

NONE_LEFT = 1 << 60
IMPORT = {"method": {"name": "glance-direct"}}

Make = Callable[..., Site]


@pytest.fixture
def make(database: PostgresServer, tmp_path: Path) -> Iterator[Make]:
    """A site with other settings."""
    with store(database.url) as engine:
        yield lambda **settings: Site(engine, tmp_path, **settings)


def refused(site: Site, image_id: str, answer: falcon.testing.Result, words: str) -> None:
    assert answer.status_code == 413 and words in answer.json["message"]
    assert site.admin.show(image_id)["status"] == "queued"
    assert site.temporary() == []


@pytest.mark.parametrize("kind", ["file", "stage"])
def test_uploads_leave_room_on_the_disk(make: Make, kind: str) -> None:
    """Postgres, the log and all else of a small site lie on the same one."""
    site = make(image_room_kept_bytes=NONE_LEFT)
    id = site.anna.create()["id"]
    refused(site, id, site.anna.upload(id, b"data", kind), f"{NONE_LEFT} are kept")
    assert site.blobs() == 0


def test_a_project_has_so_many_bytes_of_images(make: Make) -> None:
    site = make(image_project_bytes_max=10)
    one, two, three = (site.anna.create()["id"] for _ in range(3))
    assert site.anna.upload(one, b"123456").status_code == 204
    refused(site, two, site.anna.upload(two, b"12345"), "4 bytes remaining")
    assert site.anna.upload(two, b"1234").status_code == 204
    refused(site, three, site.anna.upload(three, b"1"), "0 bytes remaining")
    others = site.bert.create()["id"]
    assert site.bert.upload(others, b"1234567890").status_code == 204
    assert site.anna("DELETE", f"/v2/images/{one}").status_code == 204
    assert site.anna.upload(three, b"123456").status_code == 204


def test_staged_data_counts(make: Make) -> None:
    size = len(qcow2())
    site = make(image_project_bytes_max=2 * size - 1)
    one, two = (site.anna.create(disk_format="qcow2")["id"] for _ in range(2))
    assert site.anna.upload(one, qcow2(), "stage").status_code == 204
    refused(site, two, site.anna.upload(two, qcow2(), "stage"), f"{size - 1} bytes remaining")
    assert site.anna("POST", f"/v2/images/{one}/import", json=IMPORT).status_code == 202
    refused(site, two, site.anna.upload(two, qcow2()), f"{size - 1} bytes remaining")


def test_what_another_upload_took_meanwhile_counts(make: Make) -> None:
    """What was there when an upload began is not what is there at its end."""
    site = make(image_project_bytes_max=10)
    one, two = (site.anna.create()["id"] for _ in range(2))
    done: list[int] = []

    class Rest(io.BytesIO):
        """A body during which another upload comes to its end."""

        def read(self, size: int | None = -1, /) -> bytes:
            if not done:
                done.append(site.anna.upload(two, b"123456").status_code)
            return super().read(size)

    environ: dict[str, Any] = {"wsgi.input": Rest(b"12345"), "wsgi.input_terminated": True}
    headers = {"Transfer-Encoding": "chunked"}
    answer = site.anna(
        "PUT",
        f"/v2/images/{one}/file",
        headers=headers | {"Content-Type": "application/octet-stream"},
        extras=environ,
    )
    assert done == [204]
    refused(site, one, answer, "4 bytes remaining")

"""Data in and out: whole, in parts, staged, broken off, of the wrong kind."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.image.direct import BadKey, load_key
from api.image.means import SWEEP_GRACE_S, SWEEP_INTERVAL_S
from commands.image.direct_url import link
from events.image.content import ImageUploadFailed
from tests.api.image.conftest import Site
from tests.api.image.samples import qcow2

DATA = bytes(range(256)) * 4096


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"


def status(site: Site, image_id: str) -> str:
    return str(site.admin.show(image_id)["status"])


def test_what_goes_in_comes_out(site: Site) -> None:
    id = site.anna.create()["id"]
    empty = site.anna("GET", f"/v2/images/{id}/file")
    assert (empty.status_code, empty.content) == (204, b"")
    assert site.anna.upload(id, DATA).status_code == 204
    image = site.anna.show(id)
    assert image["status"] == "active"
    assert (image["size"], image["virtual_size"]) == (len(DATA), len(DATA))
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    assert image["os_hash_algo"] == "sha512"
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    answer = site.reader("GET", f"/v2/images/{id}/file")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["content-md5"] == image["checksum"]
    assert site.bert("GET", f"/v2/images/{id}/file").status_code == 404


@pytest.mark.parametrize(
    ("header", "status_code", "content", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-999", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=0-1,3-4", 400, None, None),
        ("bytes=3-1", 400, None, None),
        ("bytes=x", 400, None, None),
        ("bytes=", 400, None, None),
        ("garbage", 400, None, None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(
    site: Site, header: str, status_code: int, content: bytes | None, content_range: str | None
) -> None:
    id = site.anna.active(b"0123456789")["id"]
    answer = site.anna("GET", f"/v2/images/{id}/file", headers={"Range": header})
    assert answer.status_code == status_code
    assert answer.headers.get("content-range") == content_range
    if content is not None:
        assert answer.content == content
        assert ("content-md5" in answer.headers) is (status_code == 200)


def test_ranges_as_glance_once_asked_for_them(site: Site) -> None:
    id = site.anna.active(b"0123456789")["id"]
    for text, expected in (("bytes 2-4/*", 206), ("bytes 2-4/10", 206), ("2-4", 400)):
        answer = site.anna("GET", f"/v2/images/{id}/file", headers={"Content-Range": text})
        assert answer.status_code == expected
        if expected == 206:
            assert answer.content == b"234"


def test_an_empty_image(site: Site) -> None:
    """Nova makes a volume-backed snapshot active so."""
    image = site.anna.active(b"")
    assert (image["status"], image["size"]) == ("active", 0)
    answer = site.anna("GET", f"/v2/images/{image['id']}/file")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("attributes", "data", "headers", "expected", "words"),
    [
        ({}, b"x", {"Content-Type": "text/plain"}, 415, "octet-stream"),
        ({"disk_format": None}, b"x", {}, 400, "disk_format must be set"),
        ({"container_format": None}, b"x", {}, 400, "container_format must be set"),
        ({}, qcow2(), {}, 415, "the data shows qcow2"),
        ({"disk_format": "qcow2"}, b"x" * 4096, {}, 415, "the data shows raw"),
        ({"disk_format": "qcow2"}, qcow2()[:100], {}, 415, "the data shows raw"),
        ({"disk_format": "qcow2"}, qcow2(backing_file_offset=9), {}, 415, "backing file"),
        ({}, b"x" * ((4 << 20) + 1), {}, 413, "maximum size of 4194304"),
        ({}, b"abc", {"x-openstack-image-size": "2"}, 400, "announced 2 bytes, but 3"),
        ({}, b"abc", {"x-openstack-image-size": "9999999999"}, 413, "maximum size"),
        ({}, b"abc", {"x-openstack-image-size": "-1"}, 400, "number of bytes"),
        ({}, b"abc", {"x-openstack-image-size": "9" * 30}, 400, "number of bytes"),
        ({}, b"abc", {"Transfer-Encoding": "chunked"}, 411, "Content-Length"),
    ],
)
def test_data_that_is_refused_leaves_the_image_queued(
    site: Site, attributes: Any, data: bytes, headers: Any, expected: int, words: str
) -> None:
    id = site.anna.create(**attributes)["id"]
    answer = site.anna.upload(id, data, **headers)
    assert answer.status_code == expected and words in answer.json["message"]
    assert status(site, id) == "queued"
    assert (site.temporary(), site.blobs()) == ([], 0)


def test_a_queued_image_takes_the_next_try(site: Site) -> None:
    id = site.anna.create(disk_format="qcow2")["id"]
    assert site.anna.upload(id, b"no qcow2").status_code == 415
    assert site.anna.upload(id, qcow2(size=1 << 30)).status_code == 204
    assert site.anna.show(id)["virtual_size"] == 1 << 30
    assert site.anna.upload(id, qcow2()).status_code == 409


def test_a_client_that_hangs_up(site: Site, address: str) -> None:
    id = site.anna.create()["id"]
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    connection.putrequest("PUT", f"{where.path}/v2/images/{id}/file")
    connection.putheader("X-Auth-Token", "anna")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(len(DATA)))
    connection.endheaders(DATA[:1000])
    wait_until(lambda: status(site, id) == "saving" and len(site.temporary()) == 1)
    connection.close()
    wait_until(lambda: status(site, id) == "queued")
    failed = site.bus.events[-1]
    assert isinstance(failed, ImageUploadFailed)
    assert failed.reason == f"Content-Length announced {len(DATA)} bytes, but 1000 bytes came."
    assert (site.temporary(), site.blobs()) == ([], 0)


def test_slow_uploads_leave_room_for_other_requests(site: Site, address: str) -> None:
    where = urlsplit(address)
    slow = []
    for _ in range(2):
        id = site.anna.create()["id"]
        connection = http.client.HTTPConnection(where.netloc, timeout=10)
        connection.putrequest("PUT", f"{where.path}/v2/images/{id}/file")
        connection.putheader("X-Auth-Token", "anna")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"1")
        slow.append(connection)
    wait_until(lambda: len(site.temporary()) == 2)
    id = site.anna.create()["id"]
    answer = site.anna.upload(id, b"data")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert status(site, id) == "queued"
    for connection in slow:
        connection.send(b"2")
        assert connection.getresponse().status == 204
        connection.close()
    assert site.anna.upload(id, b"data").status_code == 204


def test_the_owner_deletes_while_data_comes(site: Site, address: str) -> None:
    id = site.anna.create()["id"]
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    connection.putrequest("PUT", f"{where.path}/v2/images/{id}/file")
    connection.putheader("X-Auth-Token", "anna")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"12345")
    wait_until(lambda: status(site, id) == "saving")
    assert site.anna("DELETE", f"/v2/images/{id}").status_code == 204
    connection.send(b"67890")
    answer = connection.getresponse()
    assert answer.status == 410
    answer.read()
    connection.close()
    assert (site.temporary(), site.blobs()) == ([], 0)


def test_a_receiver_that_dies_gives_the_image_back_when_the_lease_ends(site: Site) -> None:
    from commands.image.upload import BeginUpload

    id = site.anna.create()["id"]
    begin = BeginUpload(image_id=id, upload_id="u", staged=False, lease_ms=600_000)
    site.bus.send(begin, begin.image_id)
    assert status(site, id) == "saving"
    started = site.bus.events[-1].at
    assert site.bus.pass_time(started + 599_999_999) == 0
    assert site.bus.pass_time(started + 600_000_000) == 1
    assert status(site, id) == "queued"


def test_equal_images_share_their_data(site: Site) -> None:
    one, two = site.anna.active(DATA)["id"], site.bert.active(DATA)["id"]
    assert site.blobs() == 1
    assert site.anna("DELETE", f"/v2/images/{one}").status_code == 204
    assert site.bert("GET", f"/v2/images/{two}/file").content == DATA
    assert site.bert("DELETE", f"/v2/images/{two}").status_code == 204
    assert site.blobs() == 0


def test_what_a_crash_left_is_swept_by_a_later_upload(site: Site) -> None:
    """The process died between deleting an image and removing its data."""
    from commands.image.delete import DeleteImage

    live, dead = site.anna.active(b"live")["id"], site.anna.active(b"dead")["id"]
    site.bus.send(DeleteImage(image_id=dead), dead)
    old = time.time() - SWEEP_GRACE_S - 1
    left = site.images_path / "temporary" / "left"
    left.write_bytes(b"x")
    os.utime(left, (old, old))
    site.anna.active(b"another")
    assert site.blobs() == 3, "not yet: a sweep was not long ago"
    due = time.time() - SWEEP_INTERVAL_S - 1
    os.utime(site.images_path / "swept", (due, due))
    site.anna.active(b"another")
    assert site.blobs() == 2 and not left.exists()
    assert site.anna("GET", f"/v2/images/{live}/file").content == b"live"


def test_deactivation_withholds_the_data(site: Site) -> None:
    id = site.anna.active(DATA)["id"]
    path = f"/v2/images/{id}"
    assert site.anna("POST", f"{path}/actions/deactivate").status_code == 204
    assert status(site, id) == "deactivated"
    assert site.anna("GET", f"{path}/file").status_code == 403
    assert site.admin("GET", f"{path}/file").content == DATA
    assert site.anna("POST", f"{path}/actions/reactivate").status_code == 204
    assert site.anna("GET", f"{path}/file").content == DATA
    assert site.anna("POST", f"{path}/actions/explode").status_code == 404
    queued = site.anna.create()["id"]
    assert site.anna("POST", f"/v2/images/{queued}/actions/deactivate").status_code == 409


def test_staged_data_is_imported(site: Site) -> None:
    id = site.anna.create(disk_format="qcow2")["id"]
    method = {"method": {"name": "glance-direct"}}
    path = f"/v2/images/{id}"
    assert site.anna("POST", f"{path}/import", json=method).status_code == 409
    assert site.anna.upload(id, qcow2(), "stage").status_code == 204
    assert (status(site, id), site.anna.show(id)["size"]) == ("uploading", None)
    assert site.anna("POST", f"{path}/import", json=method).status_code == 202
    assert (status(site, id), site.anna.show(id)["size"]) == ("active", 65536)
    assert site.anna("GET", f"{path}/file").content == qcow2()
    assert site.anna("GET", f"{path}/tasks").json == {"tasks": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"method": "glance-direct"},
        {"method": {"name": 5}},
        {"method": {"name": "web-download", "uri": "http://169.254.169.254/"}},
        {"method": {"name": "copy-image"}},
        {"method": {"name": "glance-direct"}, "all_stores": True},
    ],
)
def test_imports_that_are_refused(site: Site, body: Any) -> None:
    id = site.anna.create()["id"]
    assert site.anna.upload(id, b"x", "stage").status_code == 204
    answer = site.anna("POST", f"/v2/images/{id}/import", json=body)
    assert answer.status_code == 400
    assert status(site, id) == "uploading"


def test_hosts_read_data_by_a_signed_link(site: Site) -> None:
    image = site.anna.active(b"0123456789")
    sha512 = image["os_hash_value"]
    key = load_key(site.key_path)
    now = int(time.time())

    def get(path: str, **headers: str) -> Any:
        path, _, query = path.removeprefix("/image").partition("?")
        return site.nobody("GET", path, query_string=query, headers=headers)

    good = link(key, sha512, now + 60)
    assert get(good).content == b"0123456789"
    assert get(good, Range="bytes=2-3").content == b"23"
    for bad in (
        link(key, sha512, now - 1),
        link(b"x" * 32, sha512, now + 60),
        good.replace(sha512, "0" * 128),
        good.replace(sha512, "short"),
        good.replace("expires=", "expires=9"),
        good.replace("expires=", "expires=x"),
        good.split("&")[0],
        f"{good}&signature=2",
        good.split("?")[0],
    ):
        assert get(bad).status_code == 403, bad
    assert get(link(key, "0" * 128, now + 60)).status_code == 404
    assert site.key_path.stat().st_mode & 0o777 == 0o600
    assert load_key(site.key_path) == key


def test_a_key_of_the_wrong_length_is_refused(site: Site) -> None:
    site.key_path.write_bytes(b"short")
    with pytest.raises(BadKey, match="must hold exactly 32 bytes, but holds 5"):
        load_key(site.key_path)


def test_data_that_the_store_lost(site: Site) -> None:
    id = site.anna.active(DATA)["id"]
    for blob in site.images_path.glob("blobs/*/*"):
        blob.unlink()
    assert site.anna("GET", f"/v2/images/{id}/file").status_code == 404

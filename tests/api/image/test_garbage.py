"""Whatever is sent, the answer is one of the API's, never an error of the server."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import falcon.testing
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.image.schemas import READ_ONLY, WRITABLE
from tests.api.image.conftest import Site

KEYS = st.one_of(
    st.sampled_from([*WRITABLE, *READ_ONLY, "id", "locations", "os_glance_x", "x"]),
    st.text(max_size=5),
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(["public", "shared", "raw", "qcow2", "ami", "bare", "\0", "é\U0001f600"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
QUERY_KEYS = [
    *("limit", "marker", "sort", "sort_key", "sort_dir", "name", "id", "status", "tag", "owner"),
    *("visibility", "member_status", "protected", "os_hidden", "size_min", "size_max"),
    *("min_disk", "checksum", "created_at", "updated_at", "other"),
]
POINTERS = st.one_of(
    KEYS.map(lambda key: "/" + key),
    st.text(alphabet="/~01ab\0", max_size=6),
    JSON,
)
STEPS = st.one_of(
    st.fixed_dictionaries(
        {"op": st.one_of(st.sampled_from(["add", "replace", "remove"]), JSON), "path": POINTERS},
        optional={"value": JSON},
    ),
    st.tuples(st.sampled_from(["add", "replace", "remove"]), POINTERS, JSON).map(
        lambda step: {step[0]: step[1], "value": step[2]}
    ),
    JSON,
)
ONE_SITE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)


def encoded(value: Any) -> bytes:
    return orjson.dumps(value)


def is_answer(answer: falcon.testing.Result) -> None:
    assert 200 <= answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json) == {"message", "code", "title"}


@ONE_SITE
@given(st.one_of(st.dictionaries(KEYS, JSON, max_size=4).map(encoded), st.binary(max_size=30)))
def test_create(site: Site, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    is_answer(site.admin("POST", "/v2/images", body=body, headers=headers))


@ONE_SITE
@given(
    st.one_of(st.lists(STEPS, max_size=4).map(encoded), JSON.map(encoded), st.binary(max_size=30)),
    st.sampled_from(["v2.0", "v2.1"]),
)
def test_patch(site: Site, body: bytes, version: str) -> None:
    id = site.admin.create(x="1")["id"]
    before = site.admin.show(id)
    media_type = f"application/openstack-images-{version}-json-patch"
    path = f"/v2/images/{id}"
    answer = site.admin("PATCH", path, body=body, headers={"Content-Type": media_type})
    is_answer(answer)
    after = site.admin.show(id)
    assert after == (before if answer.status_code != 200 else answer.json)


@ONE_SITE
@given(
    st.lists(
        st.tuples(
            st.sampled_from(QUERY_KEYS),
            st.one_of(
                st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=10),
                st.sampled_from(["in:a,b", 'in:"a', "gt:2027-01-01", "eq:0001-01-01T00:00+23:00"]),
                st.integers().map(str),
                st.lists(st.sampled_from(["name", "size:asc", "id", "created_at:desc", ","])).map(
                    ",".join
                ),
            ),
        ),
        max_size=4,
    )
)
def test_list(site: Site, query: list[tuple[str, str]]) -> None:
    site.admin.create(name="a")
    is_answer(site.admin("GET", "/v2/images", query_string=urlencode(query)))
    is_answer(site.anna("GET", "/v2/images", query_string=urlencode(query)))


@ONE_SITE
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=30))
def test_ranges(site: Site, text: str) -> None:
    ids = site.admin.ids("limit=1") or [site.admin.active(b"0123456789")["id"]]
    for header in ("Range", "Content-Range"):
        for value in (text, f"bytes={text}", f"bytes {text}"):
            headers = {header: value}
            is_answer(site.admin("GET", f"/v2/images/{ids[0]}/file", headers=headers))


@ONE_SITE
@given(st.one_of(JSON.map(encoded), st.binary(max_size=30)), st.text(max_size=5))
def test_members_imports_and_tags(site: Site, body: bytes, text: str) -> None:
    id = (site.admin.ids("limit=1") or [site.admin.create()["id"]])[0]
    path, headers = f"/v2/images/{id}", {"Content-Type": "application/json"}
    is_answer(site.admin("POST", f"{path}/members", body=body, headers=headers))
    is_answer(site.admin("POST", f"{path}/import", body=body, headers=headers))
    name = quote(text, safe="") or "x"
    is_answer(site.admin("PUT", f"{path}/members/{name}", body=body, headers=headers))
    is_answer(site.admin("PUT", f"{path}/tags/{name}"))
    is_answer(site.admin("DELETE", f"{path}/tags/{name}"))
    is_answer(site.admin("GET", f"/v2/images/{name}"))
    is_answer(site.admin("GET", f"/v2/schemas/{name}"))

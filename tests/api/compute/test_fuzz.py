"""Whatever is sent, the answer is never a 500, and an error is in Nova's form."""

from __future__ import annotations

from urllib.parse import quote

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.compute.actions import ACTIONS
from api.compute.create_schema import FIELDS
from api.compute.filters import FILTERS
from tests.api.compute.world import World

LIMITS = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
LEAVES = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
VERSIONS = st.integers(1, 104).map(lambda minor: f"2.{minor}")
NAMES = sorted({p.name for p in FIELDS} | {"networks", "block_device_mapping_v2"})
DEVICE = st.dictionaries(
    st.sampled_from(
        ["uuid", "source_type", "destination_type", "boot_index", "volume_size", "no_device"]
    ),
    LEAVES | st.sampled_from(["image", "local", "blank", "volume", 0]),
)
PLAUSIBLE = {
    "min_count": INTEGERS | st.sampled_from([1, "2"]),
    "networks": st.sampled_from(["none", "auto"]) | st.lists(JSON, max_size=2),
    "block_device_mapping_v2": st.lists(DEVICE, max_size=3),
    "availability_zone": TEXT | st.sampled_from(["nova", ":::", "nova:c1", ":"]),
    "metadata": st.dictionaries(TEXT, TEXT, max_size=3),
}
SERVER = st.fixed_dictionaries(
    {}, optional={name: PLAUSIBLE.get(name, LEAVES) | JSON for name in NAMES}
)


def check(answer: object, world: World) -> None:
    status = answer.status_code  # type: ignore[attr-defined]
    body = answer.content  # type: ignore[attr-defined]
    assert status < 500, body
    if status >= 400:
        [(name, fault)] = orjson.loads(body).items()
        assert fault["code"] == status, name


@LIMITS
@given(change=SERVER, hints=JSON, version=VERSIONS, token=st.sampled_from(["member", "admin"]))
def test_create(world: World, change: object, hints: object, version: str, token: str) -> None:
    server = {"name": "f", "imageRef": world.image_id, "flavorRef": "m1.tiny", "networks": "none"}
    if version < "2.37":
        del server["networks"]
    body = {"server": server | change}  # type: ignore[operator]
    for sent in (body, body | {"os:scheduler_hints": hints}):
        text = orjson.dumps(sent).decode()
        check(world.post("/servers", text, version=version, token=token), world)


@LIMITS
@given(body=JSON, version=VERSIONS, method=st.sampled_from(["POST", "PUT"]))
def test_bodies_of_everything(world: World, body: object, version: str, method: str) -> None:
    if not world.shown_id:
        world.shown_id = world.boot()
    own = f"/servers/{world.shown_id}"
    for path, key in (
        ("/servers", "server"),
        (own, "server"),
        (f"{own}/metadata", "metadata"),
        (f"{own}/metadata/k", "meta"),
        (f"{own}/tags", "tags"),
        (f"{own}/action", "os-start"),
    ):
        for sent in (body, {key: body}):
            text = orjson.dumps(sent).decode()
            check(world.request(method, path, text, version=version), world)


@settings(LIMITS, max_examples=50)
@given(value=JSON, key=st.sampled_from([action.key for action in ACTIONS]), version=VERSIONS)
def test_actions(world: World, value: object, key: str, version: str) -> None:
    server_id = world.boot()
    text = orjson.dumps({key: value}).decode()
    check(world.act(server_id, text, version=version), world)


@LIMITS
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *(row.name for row in FILTERS),
                    *("limit", "marker", "sort_key", "sort_dir", "status", "all_tenants"),
                    *("project_id", "tenant_id", "created_at"),
                ]
            ),
            st.text(max_size=8)
            | st.sampled_from(["1", "-1", "[", "(a+)+$", "2026-01-01", "0001-01-01T00:00:00+23:00"])
            | st.sampled_from(["created_at", "asc", "desc", "host", "ACTIVE", "9" * 30, "true"]),
        ),
        max_size=4,
    ),
    version=VERSIONS,
    token=st.sampled_from(["member", "admin"]),
)
def test_queries(world: World, query: list[tuple[str, str]], version: str, token: str) -> None:
    text = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in query)
    for path in ("/servers", "/servers/detail", "/servers/x/os-instance-actions"):
        check(world.get(f"{path}?{text}", version=version, token=token), world)


@LIMITS
@given(segment=st.text(max_size=20), version=VERSIONS)
def test_paths(world: World, segment: str, version: str) -> None:
    if segment in (".", ".."):
        return
    named = quote(segment, safe="", errors="replace")
    for path in (
        f"/servers/{named}",
        f"/servers/{named}/tags/{named}",
        f"/servers/{named}/metadata/{named}",
        f"/{named}/servers",
    ):
        answer = world.get(path, version=version)
        assert answer.status_code < 500, answer.text

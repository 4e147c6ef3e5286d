"""Whatever is sent is answered, and never with a 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.identity.routes import routes
from tests.parts.cloud import Cloud, Session, project_scope

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["default", "admin", "demo", "a\x00b", "\ud7ff", "%00", "true", "x" * 300, "'; --", "\\u0000"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "name",
    "password",
    "domain_id",
    "default_project_id",
    "description",
    "enabled",
    "options",
    "tags",
    "parent_id",
    "roles",
    "secret",
    "expires_at",
    "unrestricted",
    "original_password",
    "something",
]
FIELDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "name__contains",
            "enabled",
            "limit",
            "marker",
            "sort_key",
            "sort_dir",
            "tags",
            "domain_id",
            "user.id",
            "scope.project.id",
            "effective",
            "include_names",
            "parents_as_list",
            "subtree_as_ids",
        ]
    ),
    TEXTS | st.sampled_from(["1", "-1", "0", "99999999999999999999"]),
    max_size=3,
)
EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def admin(cloud_once: Cloud) -> Session:
    # Not that of the first users: what is sent may change any of them.
    admin = cloud_once.admin()
    fields = {"name": "fuzz", "password": "fuzz"}
    user = admin.call("POST", "/identity/v3/users", {"user": fields}, expect=201)["user"]["id"]
    (role,) = admin.call("GET", "/identity/v3/roles?name=admin")["roles"]
    project = admin.body["project"]["id"]
    path = f"/identity/v3/projects/{project}/users/{user}/roles/{role['id']}"
    admin.call("PUT", path, expect=204)
    return cloud_once.client().login("fuzz", "fuzz", project_scope("admin"))


def paths(cloud: Cloud) -> list[str]:
    return [f"/identity{path}" for path, _ in routes(cloud.services)]


@given(data=st.data())
@EXAMPLES
def test_no_request_breaks_anything(cloud_once: Cloud, admin: Session, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths(cloud_once)))
    for part in path.split("/"):
        if part.startswith("{"):
            value = data.draw(st.sampled_from(["default", "f" * 32, "x", "\u00e4", "%2e", "%00"]))
            path = path.replace(part, value, 1)
    method = data.draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"]))
    kind = data.draw(
        st.sampled_from(["user", "project", "domain", "role", "group", "application_credential"])
    )
    body: Any = data.draw(st.builds(lambda f: {kind: f}, FIELDS) | VALUES)
    query = data.draw(QUERIES)
    answer = admin.simulate_request(
        method, path, params=query, json=body, headers={"X-Auth-Token": admin.token}
    )
    assert answer.status_code < 500, (method, path, query, body, answer.text)
    if not path.endswith(("/password", "/tokens")):
        assert answer.status_code != 401  # else nothing is tried any more
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json["error"]["code"] == answer.status_code


@given(auth=VALUES | st.dictionaries(st.sampled_from(["identity", "scope"]), VALUES))
@example(auth={"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}})
@example(
    auth={
        "identity": {
            "methods": ["password"],
            "password": {"user": {"id": "a\x00b", "password": "x"}},
        }
    }
)
@EXAMPLES
def test_no_login_breaks_anything(cloud_once: Cloud, auth: Any) -> None:
    path = "/identity/v3/auth/tokens"
    answer = cloud_once.client().simulate_post(path, json={"auth": auth})
    assert answer.status_code in (400, 401), answer.text


@pytest.mark.parametrize("depth", [10, 62, 63, 250, 254, 300, 1000, 5000])
def test_deep_nesting(cloud: Cloud, depth: int) -> None:
    admin = cloud.admin()
    body = f'{{"project": {{"name": "deep", "x": {"[" * depth}{"]" * depth}}}}}'
    answer = admin.simulate_post(
        "/identity/v3/projects",
        body=body,
        headers={"X-Auth-Token": admin.token, "Content-Type": "application/json"},
    )
    assert answer.status_code == (201 if depth <= 62 else 400), answer.text
    if answer.status_code == 201:
        found = admin.call("GET", "/identity/v3/projects?name=deep")["projects"]
        assert len(found) == 1


def test_a_nul_gets_nowhere(cloud_once: Cloud) -> None:
    admin = cloud_once.admin()
    admin.call("POST", "/identity/v3/users", {"user": {"name": "a\x00b"}}, expect=400)
    admin.call("GET", "/identity/v3/users?name=a%00b", expect=400)
    admin.call("GET", "/identity/v3/users/%00", expect=400)
    made = {"user": {"name": "a\\u0000b"}}
    admin.call("POST", "/identity/v3/users", made, expect=201)


def test_a_body_that_is_too_large(cloud_once: Cloud) -> None:
    admin = cloud_once.admin()
    body = {"user": {"name": "x", "description": "x" * 200_000}}
    answer = admin.call("POST", "/identity/v3/users", body, expect=413)
    assert answer["error"]["code"] == 413

"""Tokens: every way to get one, what they say, and what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parts.cloud import (
    ADMIN_PASSWORD,
    DEMO_PASSWORD,
    SYSTEM,
    Cloud,
    Session,
    project_scope,
)

TOKENS = "/identity/v3/auth/tokens"
PROJECTS = "/identity/v3/auth/projects"


def password(user: dict[str, Any], secret: str = DEMO_PASSWORD) -> dict[str, Any]:
    return {"methods": ["password"], "password": {"user": {**user, "password": secret}}}


DEMO = {"name": "demo", "domain": {"id": "default"}}


def user_id(cloud: Cloud, name: str) -> str:
    found = cloud.admin().call("GET", f"/identity/v3/users?name={name}")
    return str(found["users"][0]["id"])


def set_demo(cloud: Cloud, **changes: Any) -> None:
    id = user_id(cloud, "demo")
    cloud.admin().call("PATCH", f"/identity/v3/users/{id}", {"user": changes})


def refused(session: Session) -> bool:
    return bool(session.answer("GET", PROJECTS).status_code == 401)


def test_project_token_says_all_that_keystone_says(cloud: Cloud) -> None:
    answer = cloud.client().try_login(password(DEMO), project_scope("demo"))
    token = answer.json["token"]
    assert answer.status_code == 201
    assert len(answer.headers["x-subject-token"]) < 400
    assert token["methods"] == ["password"]
    assert token["user"]["name"] == "demo"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["user"]["password_expires_at"] is None
    assert token["project"]["name"] == "demo"
    assert token["project"]["domain"] == {"id": "default", "name": "Default"}
    assert token["is_domain"] is False
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert [len(id) for id in token["audit_ids"]] == [22]
    assert {entry["type"] for entry in token["catalog"]} == {
        "compute",
        "identity",
        "image",
        "placement",
    }


def test_catalog_urls_follow_the_public_url(cloud: Cloud) -> None:
    urls = {
        entry["type"]: {point["url"] for point in entry["endpoints"]}
        for entry in cloud.demo().body["catalog"]
    }
    base = "http://127.0.0.1:8774"
    assert urls == {
        "compute": {f"{base}/compute/v2.1"},
        "identity": {f"{base}/identity/v3"},
        "image": {f"{base}/image"},
        "placement": {f"{base}/placement"},
    }
    points = cloud.demo().body["catalog"][0]["endpoints"]
    assert {point["interface"] for point in points} == {"public", "internal", "admin"}
    assert {(point["region"], point["region_id"]) for point in points} == {
        ("RegionOne", "RegionOne")
    }


@pytest.mark.parametrize(
    "user",
    [
        DEMO,
        {"name": "demo", "domain": {"name": "Default"}},
    ],
)
def test_user_by_name_and_domain(cloud: Cloud, user: dict[str, Any]) -> None:
    assert cloud.client().authenticate(password(user)).body["user"]["name"] == "demo"


def test_user_by_id(cloud: Cloud) -> None:
    id = user_id(cloud, "demo")
    assert cloud.client().authenticate(password({"id": id})).body["user"]["id"] == id


def test_admin_has_all_that_admin_implies(cloud: Cloud) -> None:
    names = [role["name"] for role in cloud.admin().body["roles"]]
    assert names == ["admin", "manager", "member", "reader"]


def test_domain_and_system_scope(cloud: Cloud) -> None:
    domain = cloud.admin({"domain": {"name": "Default"}}).body
    assert domain["domain"] == {"id": "default", "name": "Default"}
    assert "project" not in domain
    system = cloud.admin(SYSTEM).body
    assert system["system"] == {"all": True}
    assert "catalog" in system
    assert "project" not in system


@pytest.mark.parametrize("scope", ["unscoped", {"unscoped": {}}])
def test_explicitly_unscoped(cloud: Cloud, scope: Any) -> None:
    token = cloud.client().login("demo", DEMO_PASSWORD, scope).body
    assert set(token) == {"methods", "user", "audit_ids", "expires_at", "issued_at"}


def test_no_scope_is_the_default_project_if_it_is_usable(cloud: Cloud) -> None:
    assert cloud.client().login("demo", DEMO_PASSWORD).body["project"]["name"] == "demo"
    id = cloud.demo().body["project"]["id"]
    cloud.admin().call("PATCH", f"/identity/v3/projects/{id}", {"project": {"enabled": False}})
    assert "project" not in cloud.client().login("demo", DEMO_PASSWORD).body


@pytest.mark.parametrize(
    ("identity", "scope"),
    [
        (password(DEMO, "wrong"), None),
        (password({"name": "nobody", "domain": {"id": "default"}}), None),
        (password({"name": "demo", "domain": {"id": "nowhere"}}), None),
        (password({"id": "0" * 32}), None),
        (password(DEMO), project_scope("admin")),
        (password(DEMO), project_scope("nothing")),
        (password(DEMO), {"domain": {"id": "default"}}),
        (password(DEMO), SYSTEM),
        ({"methods": ["token"], "token": {"id": "gAAAA"}}, None),
        ({"methods": ["token"], "token": {"id": "\u00e9"}}, None),
        ({"methods": ["totp"], "totp": {}}, None),
        (
            {
                "methods": ["application_credential"],
                "application_credential": {"id": "x", "secret": "y"},
            },
            None,
        ),
    ],
)
def test_what_proves_nothing_is_unauthorized(
    cloud: Cloud, identity: dict[str, Any], scope: Any
) -> None:
    answer = cloud.client().try_login(identity, scope)
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == 401
    assert answer.json["error"]["title"] == "Unauthorized"
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")
    assert answer.headers["vary"] == "X-Auth-Token"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auth": {}},
        {"auth": {"identity": {}}},
        {"auth": {"identity": {"methods": []}}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": ["password"], "password": {}}}},
        {"auth": {"identity": password({"name": "demo"})}},
        {"auth": {"identity": password({})}},
        {"auth": {"identity": password(DEMO, 17)}},  # type: ignore[arg-type]
        {"auth": {"identity": password(DEMO), "scope": {"project": {"name": "demo"}}}},
        {"auth": {"identity": password(DEMO), "scope": "everything"}},
        {
            "auth": {
                "identity": password(DEMO),
                "scope": {"domain": {"id": "default"}, **project_scope("demo")},
            }
        },
        [],
        "text",
    ],
)
def test_malformed_requests(cloud: Cloud, body: Any) -> None:
    answer = cloud.client().simulate_post(TOKENS, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json["error"]["title"] == "Bad Request"
    assert DEMO_PASSWORD not in answer.text


def test_body_that_is_no_json(cloud: Cloud) -> None:
    answer = cloud.client().simulate_post(TOKENS, body=b"{", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"]["message"]


def test_validate_and_check(cloud: Cloud) -> None:
    demo, admin = cloud.demo(), cloud.admin()
    header = {"X-Subject-Token": demo.token}
    shown = admin.call("GET", TOKENS, headers=header)["token"]
    assert shown == demo.body
    assert "catalog" not in admin.call("GET", f"{TOKENS}?nocatalog", headers=header)["token"]
    head = admin.answer("HEAD", TOKENS, headers=header)
    assert (head.status_code, head.content) == (200, b"")
    assert demo.call("GET", TOKENS, headers=header)["token"]["user"]["name"] == "demo"


def test_validation_needs_a_right_to_it(cloud: Cloud) -> None:
    header = {"X-Subject-Token": cloud.admin().token}
    cloud.demo().call("GET", TOKENS, headers=header, expect=403)
    cloud.admin().call("GET", TOKENS, headers={"X-Subject-Token": "nonsense"}, expect=404)
    cloud.admin().call("GET", TOKENS, expect=404)
    cloud.client().call("GET", TOKENS, expect=401)


def test_a_revoked_token_is_refused_at_once(cloud: Cloud) -> None:
    demo, other = cloud.demo(), cloud.demo()
    assert not refused(demo)
    demo.call("DELETE", TOKENS, headers={"X-Subject-Token": demo.token}, expect=204)
    assert refused(demo)
    assert not refused(other)
    cloud.admin().call("GET", TOKENS, headers={"X-Subject-Token": demo.token}, expect=404)
    nobody = cloud.client().try_login({"methods": ["token"], "token": {"id": demo.token}})
    assert nobody.status_code == 401


def test_a_token_from_a_token_keeps_its_end(cloud: Cloud) -> None:
    first = cloud.client().login("demo", DEMO_PASSWORD, "unscoped")
    second = cloud.client().authenticate(
        {"methods": ["token"], "token": {"id": first.token}}, project_scope("demo")
    )
    third = cloud.client().authenticate({"methods": ["token"], "token": {"id": second.token}})
    assert second.body["expires_at"] == first.body["expires_at"]
    assert second.body["methods"] == ["password", "token"]
    assert second.body["audit_ids"][1] == first.body["audit_ids"][0]
    assert third.body["audit_ids"][1] == first.body["audit_ids"][0]


def test_proofs_of_two_users_are_none(cloud: Cloud) -> None:
    both = {
        **password(DEMO),
        "methods": ["password", "token"],
        "token": {"id": cloud.admin().token},
    }
    assert cloud.client().try_login(both).status_code == 401


def test_another_password_ends_all_tokens(cloud: Cloud) -> None:
    demo = cloud.demo()
    assert not refused(demo)
    set_demo(cloud, password="another one")
    assert refused(demo)
    assert cloud.client().try_login(password(DEMO)).status_code == 401
    assert not refused(cloud.client().login("demo", "another one"))


def test_disabling_a_user_ends_its_tokens_for_good(cloud: Cloud) -> None:
    demo = cloud.demo()
    set_demo(cloud, enabled=False)
    assert refused(demo)
    assert cloud.client().try_login(password(DEMO)).status_code == 401
    set_demo(cloud, enabled=True)
    assert refused(demo)
    assert not refused(cloud.demo())


def test_disabling_a_project_ends_its_tokens_for_good(cloud: Cloud) -> None:
    demo = cloud.demo()
    id = demo.body["project"]["id"]
    path = f"/identity/v3/projects/{id}"
    cloud.admin().call("PATCH", path, {"project": {"enabled": False}})
    assert refused(demo)
    assert cloud.client().try_login(password(DEMO), project_scope("demo")).status_code == 401
    cloud.admin().call("PATCH", path, {"project": {"enabled": True}})
    assert refused(demo)
    assert not refused(cloud.demo())


def test_a_role_that_is_taken_is_gone_from_the_token(cloud: Cloud) -> None:
    demo = cloud.demo()
    member = next(role["id"] for role in demo.body["roles"] if role["name"] == "member")
    path = "/identity/v3/projects/{}/users/{}/roles/{}".format(
        demo.body["project"]["id"], demo.body["user"]["id"], member
    )
    cloud.admin().call("DELETE", path, expect=204)
    assert refused(demo)


def test_tokens_end_by_themselves(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    import api.authentication
    import api.tokens.reading

    demo, admin = cloud.demo(), cloud.admin()
    later = api.tokens.reading.now() + 3601 * 1_000_000
    monkeypatch.setattr(api.tokens.reading, "now", lambda: later)
    monkeypatch.setattr(api.authentication, "now", lambda: later, raising=True)
    assert refused(demo)
    assert refused(admin)


def test_an_expired_token_may_be_shown_to_who_asks_for_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    import api.tokens.reading

    demo = cloud.demo()
    later = api.tokens.reading.now() + 3601 * 1_000_000
    monkeypatch.setattr(api.tokens.reading, "now", lambda: later)
    monkeypatch.setattr("api.identity.tokens.now", lambda: later)
    header = {"X-Subject-Token": demo.token}
    admin = cloud.admin()
    admin.call("GET", TOKENS, headers=header, expect=404)
    shown = admin.call("GET", f"{TOKENS}?allow_expired=1", headers=header)
    assert shown["token"]["user"]["name"] == "demo"


def test_own_projects_domains_and_system(cloud: Cloud) -> None:
    demo, admin = cloud.demo(), cloud.admin()
    assert [p["name"] for p in demo.call("GET", PROJECTS)["projects"]] == ["demo"]
    assert demo.call("GET", "/identity/v3/auth/domains")["domains"] == []
    assert demo.call("GET", "/identity/v3/auth/system")["system"] == []
    domains = admin.call("GET", "/identity/v3/auth/domains")["domains"]
    assert [domain["id"] for domain in domains] == ["default"]
    assert admin.call("GET", "/identity/v3/auth/system")["system"] == [{"all": True}]
    assert len(demo.call("GET", "/identity/v3/auth/catalog")["catalog"]) == 4
    unscoped = cloud.client().login("demo", DEMO_PASSWORD, "unscoped")
    assert [p["name"] for p in unscoped.call("GET", PROJECTS)["projects"]] == ["demo"]
    unscoped.call("GET", "/identity/v3/auth/catalog", expect=403)


def test_no_secret_is_in_any_record_or_answer(cloud: Cloud) -> None:
    set_demo(cloud, password="a brand new secret")
    demo = cloud.client().login("demo", "a brand new secret")
    demo.call("DELETE", TOKENS, headers={"X-Subject-Token": demo.token}, expect=204)
    everything = b"".join(cloud.bus.records)
    assert b"argon2id" in everything
    for secret in (ADMIN_PASSWORD, DEMO_PASSWORD, "a brand new secret", demo.token):
        assert secret.encode() not in everything

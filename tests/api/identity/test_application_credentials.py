"""Application credentials: what they give, what they do not, and what ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.parts.cloud import DEMO_PASSWORD, Cloud, Session, project_scope

V3 = "/identity/v3"


def path_of(session: Session) -> str:
    return f"{V3}/users/{session.body['user']['id']}/application_credentials"


def make(session: Session, **fields: Any) -> dict[str, Any]:
    body = {"application_credential": {"name": "robot", **fields}}
    made = session.call("POST", path_of(session), body, expect=201)["application_credential"]
    assert isinstance(made, dict)
    return made


def proof(**fields: str) -> dict[str, Any]:
    return {"methods": ["application_credential"], "application_credential": fields}


def test_what_the_command_line_client_sends(cloud: Cloud) -> None:
    demo = cloud.demo()
    made = make(
        demo,
        roles=[],
        access_rules=[],
        secret=None,
        expires_at=None,
        description=None,
        unrestricted=False,
    )
    assert len(made["secret"]) == 86
    assert made["project_id"] == demo.body["project"]["id"]
    assert [role["name"] for role in made["roles"]] == ["member", "reader"]
    (listed,) = demo.call("GET", path_of(demo))["application_credentials"]
    assert listed == {key: value for key, value in made.items() if key != "secret"}
    shown = demo.call("GET", f"{path_of(demo)}/{made['id']}")["application_credential"]
    assert shown == listed


def test_a_login_with_one(cloud: Cloud) -> None:
    demo = cloud.demo()
    made = make(demo, secret="open sesame")
    by_id = cloud.client().authenticate(proof(id=made["id"], secret="open sesame"))
    user = {"name": "demo", "domain": {"id": "default"}}
    by_name = cloud.client().authenticate(
        proof(name="robot", secret="open sesame", user=user)  # type: ignore[arg-type]
    )
    for session in (by_id, by_name):
        assert session.body["methods"] == ["application_credential"]
        assert session.body["project"]["name"] == "demo"
        assert session.body["application_credential"] == {
            "id": made["id"],
            "name": "robot",
            "restricted": True,
        }
    assert b"open sesame" not in b"".join(cloud.bus.records)


def test_a_login_that_fails(cloud: Cloud) -> None:
    made = make(cloud.demo(), secret="open sesame")
    nobody = cloud.client()
    assert nobody.try_login(proof(id=made["id"], secret="close")).status_code == 401
    assert nobody.try_login(proof(id="f" * 32, secret="open sesame")).status_code == 401
    right = proof(id=made["id"], secret="open sesame")
    assert nobody.try_login(right, project_scope("admin")).status_code == 401
    assert nobody.try_login(right, "unscoped").status_code == 401
    assert nobody.try_login(right, project_scope("demo")).status_code == 201
    assert nobody.try_login(proof(secret="x")).status_code == 400


def test_it_gives_the_chosen_roles_and_those_they_imply(cloud: Cloud) -> None:
    admin = cloud.admin()
    made = make(admin, secret="s", roles=[{"name": "member"}])
    session = cloud.client().authenticate(proof(id=made["id"], secret="s"))
    assert [role["name"] for role in session.body["roles"]] == ["member", "reader"]
    session.call("GET", f"{V3}/users", expect=403)


def test_it_gives_no_role_that_its_maker_lacks(cloud: Cloud) -> None:
    demo = cloud.demo()
    body = {"application_credential": {"name": "robot", "roles": [{"name": "admin"}]}}
    demo.call("POST", path_of(demo), body, expect=400)
    body["application_credential"]["roles"] = [{"id": "f" * 32}]
    demo.call("POST", path_of(demo), body, expect=400)


def test_it_ends_with_its_makers_role(cloud: Cloud) -> None:
    demo = cloud.demo()
    made = make(demo, secret="s")
    right = proof(id=made["id"], secret="s")
    robot = cloud.client().authenticate(right)
    member = next(role["id"] for role in demo.body["roles"] if role["name"] == "member")
    project, user = demo.body["project"]["id"], demo.body["user"]["id"]
    grant = f"{V3}/projects/{project}/users/{user}/roles/{member}"
    cloud.admin().call("DELETE", grant, expect=204)
    assert robot.answer("GET", f"{V3}/auth/projects").status_code == 401
    assert cloud.client().try_login(right).status_code == 401


def test_it_stays_ended_when_its_maker_has_the_role_again(cloud: Cloud) -> None:
    demo, admin = cloud.demo(), cloud.admin()
    made = make(demo, secret="s")
    member = next(role["id"] for role in demo.body["roles"] if role["name"] == "member")
    project, user = demo.body["project"]["id"], demo.body["user"]["id"]
    grant = f"{V3}/projects/{project}/users/{user}/roles/{member}"
    admin.call("DELETE", grant, expect=204)
    admin.call("PUT", grant, expect=204)
    assert cloud.client().try_login(proof(id=made["id"], secret="s")).status_code == 401
    assert cloud.demo().call("GET", path_of(demo))["application_credentials"] == []


def test_it_stays_ended_when_its_maker_is_enabled_again(cloud: Cloud) -> None:
    demo, admin = cloud.demo(), cloud.admin()
    made = make(demo, secret="s")
    path = f"{V3}/users/{demo.body['user']['id']}"
    for enabled in (False, True):
        admin.call("PATCH", path, {"user": {"enabled": enabled}})
    assert cloud.client().try_login(proof(id=made["id"], secret="s")).status_code == 401
    assert cloud.demo().call("GET", path_of(demo))["application_credentials"] == []


def test_it_stays_ended_though_its_maker_is_of_another_domain(cloud: Cloud) -> None:
    admin, demo = cloud.admin(), cloud.demo()
    domain = admin.call("POST", f"{V3}/domains", {"domain": {"name": "Guests"}}, expect=201)
    fields = {"name": "guest", "password": "pw", "domain_id": domain["domain"]["id"]}
    user = admin.call("POST", f"{V3}/users", {"user": fields}, expect=201)["user"]
    member = next(role["id"] for role in demo.body["roles"] if role["name"] == "member")
    grant = f"{V3}/projects/{demo.body['project']['id']}/users/{user['id']}/roles/{member}"
    admin.call("PUT", grant, expect=204)
    password = {"methods": ["password"], "password": {"user": {"id": user["id"], "password": "pw"}}}
    guest = cloud.client().authenticate(password, project_scope("demo"))
    made = make(guest, secret="s")
    own = make(demo, secret="s")
    admin.call("DELETE", grant, expect=204)
    admin.call("DELETE", grant, expect=404)
    admin.call("PUT", grant, expect=204)
    assert cloud.client().try_login(proof(id=made["id"], secret="s")).status_code == 401
    assert cloud.client().try_login(proof(id=own["id"], secret="s")).status_code == 201


def test_a_restricted_one_makes_no_others(cloud: Cloud) -> None:
    demo = cloud.demo()
    made = make(demo, secret="s")
    robot = cloud.client().authenticate(proof(id=made["id"], secret="s"))
    body = {"application_credential": {"name": "child"}}
    robot.call("POST", path_of(demo), body, expect=403)
    robot.call("DELETE", f"{path_of(demo)}/{made['id']}", expect=403)
    free = make(demo, name="free", secret="s", unrestricted=True)
    session = cloud.client().authenticate(proof(id=free["id"], secret="s"))
    assert session.body["application_credential"]["restricted"] is False
    session.call("POST", path_of(demo), body, expect=201)


def test_its_token_makes_tokens_for_nothing_else(cloud: Cloud) -> None:
    demo = cloud.demo()
    made = make(demo, secret="s")
    robot = cloud.client().authenticate(proof(id=made["id"], secret="s"))
    by_token = {"methods": ["token"], "token": {"id": robot.token}}
    again = cloud.client().authenticate(by_token)
    assert again.body["application_credential"]["id"] == made["id"]
    assert again.body["project"]["name"] == "demo"
    assert cloud.client().try_login(by_token, "unscoped").status_code == 401
    assert cloud.client().try_login(by_token, project_scope("demo")).status_code == 201
    again.call("POST", path_of(demo), {"application_credential": {"name": "x"}}, expect=403)


def test_deleting_it_ends_its_tokens(cloud: Cloud) -> None:
    demo = cloud.demo()
    made = make(demo, secret="s")
    robot = cloud.client().authenticate(proof(id=made["id"], secret="s"))
    demo.call("DELETE", f"{path_of(demo)}/{made['id']}", expect=204)
    assert robot.answer("GET", f"{V3}/auth/projects").status_code == 401
    demo.call("GET", f"{path_of(demo)}/{made['id']}", expect=404)
    demo.call("DELETE", f"{path_of(demo)}/{made['id']}", expect=404)


def test_its_end_is_its_tokens_end(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    import api.tokens.reading

    demo = cloud.demo()
    end = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(minutes=5)
    made = make(demo, secret="s", expires_at=end.isoformat())
    assert made["expires_at"] == f"{end.isoformat()}.000000"
    right = proof(id=made["id"], secret="s")
    robot = cloud.client().authenticate(right)
    assert robot.body["expires_at"] == f"{end.isoformat()}.000000Z"
    later = api.tokens.reading.now() + 301 * 1_000_000
    monkeypatch.setattr("api.identity.login.now", lambda: later)
    assert cloud.client().try_login(right).status_code == 401


@pytest.mark.parametrize("text", ["tomorrow", "2001-01-01T00:00:00", "", 7])
def test_ends_must_be_in_the_future(cloud_once: Cloud, text: Any) -> None:
    demo = cloud_once.demo()
    body = {"application_credential": {"name": "robot", "expires_at": text}}
    demo.call("POST", path_of(demo), body, expect=400)


def test_names_are_unique_for_a_user(cloud: Cloud) -> None:
    demo = cloud.demo()
    make(demo)
    body = {"application_credential": {"name": "robot"}}
    demo.call("POST", path_of(demo), body, expect=409)
    admin = cloud.admin()
    make(admin)


def test_it_is_the_users_own(cloud: Cloud) -> None:
    demo, admin = cloud.demo(), cloud.admin()
    made = make(demo)
    body = {"application_credential": {"name": "robot"}}
    admin.call("POST", path_of(demo), body, expect=403)
    assert len(admin.call("GET", path_of(demo))["application_credentials"]) == 1
    demo.call("GET", path_of(admin), expect=403)
    admin.call("GET", f"{path_of(admin)}/{made['id']}", expect=404)
    admin.call("DELETE", f"{path_of(demo)}/{made['id']}", expect=204)


def test_access_rules_are_refused_and_there_are_none(cloud_once: Cloud) -> None:
    demo = cloud_once.demo()
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    body = {"application_credential": {"name": "robot", "access_rules": rules}}
    error = demo.call("POST", path_of(demo), body, expect=400)["error"]
    assert "not supported" in error["message"]
    user = demo.body["user"]["id"]
    assert demo.call("GET", f"{V3}/users/{user}/access_rules")["access_rules"] == []


def test_it_needs_a_project(cloud_once: Cloud) -> None:
    unscoped = cloud_once.client().login("demo", DEMO_PASSWORD, "unscoped")
    body = {"application_credential": {"name": "robot"}}
    unscoped.call("POST", path_of(unscoped), body, expect=400)


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00"]
)
def test_an_end_that_no_calendar_shows_is_refused(cloud: Cloud, moment: str) -> None:
    demo = cloud.demo()
    body = {"application_credential": {"name": "late", "expires_at": moment}}
    answer = demo.call("POST", path_of(demo), body, expect=400)
    assert answer["error"]["title"] == "Bad Request"


def test_the_last_moment_of_the_calendar_is_shown(cloud: Cloud) -> None:
    made = make(cloud.demo(), name="last", expires_at="9999-12-31T23:59:59Z")
    assert made["expires_at"] == "9999-12-31T23:59:59.000000"


def test_a_login_nested_too_deep_is_refused(cloud: Cloud) -> None:
    body: Any = 1
    for _ in range(300):
        body = {"auth": body}
    answer = cloud.client().call("POST", f"{V3}/auth/tokens", body, expect=400)
    assert answer["error"]["code"] == 400

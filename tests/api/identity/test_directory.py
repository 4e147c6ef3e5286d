"""Domains, projects, users, groups, roles and grants over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parts.cloud import SYSTEM, Cloud, Session, project_scope

V3 = "/identity/v3"


def make(session: Session, kind: str, **fields: Any) -> dict[str, Any]:
    made = session.call("POST", f"{V3}/{kind}s", {kind: fields}, expect=201)[kind]
    assert isinstance(made, dict)
    return made


def role_id(session: Session, name: str) -> str:
    (role,) = session.call("GET", f"{V3}/roles?name={name}")["roles"]
    return str(role["id"])


def names(listing: dict[str, Any]) -> list[str]:
    (items,) = (value for key, value in listing.items() if isinstance(value, list))
    return [item["name"] for item in items]


def test_version_documents(cloud: Cloud) -> None:
    nobody = cloud.client()
    several = nobody.answer("GET", "/identity")
    assert several.status_code == 300
    assert several.headers["location"] == "http://127.0.0.1:8774/identity/v3/"
    (version,) = several.json["versions"]["values"]
    assert version["id"] == "v3.14"
    assert nobody.call("GET", f"{V3}/")["version"] == version
    assert version["links"] == [{"rel": "self", "href": "http://127.0.0.1:8774/identity/v3/"}]


def test_answers_carry_the_usual_headers(cloud: Cloud) -> None:
    answer = cloud.admin().answer("GET", f"{V3}/users")
    assert answer.headers["vary"] == "X-Auth-Token"
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_a_project_from_creation_to_deletion(cloud: Cloud) -> None:
    admin = cloud.admin()
    made = make(admin, "project", name="web", description=None, shade="blue", domain_id=None)
    id = made["id"]
    assert made == {
        "id": id,
        "name": "web",
        "domain_id": "default",
        "description": "",
        "enabled": True,
        "parent_id": "default",
        "is_domain": False,
        "tags": [],
        "options": {},
        "shade": "blue",
        "links": {"self": f"http://127.0.0.1:8774/identity/v3/projects/{id}"},
    }
    path = f"{V3}/projects/{id}"
    changed = admin.call("PATCH", path, {"project": {"name": "www", "size": 3}})["project"]
    assert (changed["name"], changed["shade"], changed["size"]) == ("www", "blue", 3)
    assert admin.call("GET", path)["project"] == changed
    assert admin.answer("HEAD", path).status_code == 200
    admin.call("DELETE", path, expect=204)
    admin.call("GET", path, expect=404)
    admin.call("DELETE", path, expect=404)


def test_a_name_is_no_id(cloud: Cloud) -> None:
    admin = cloud.admin()
    error = admin.call("GET", f"{V3}/projects/admin", expect=404)["error"]
    assert error == {"code": 404, "title": "Not Found", "message": "Could not find project: admin."}
    assert names(admin.call("GET", f"{V3}/projects?name=admin")) == ["admin"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("project", {"name": "demo"}),
        ("user", {"name": "demo"}),
        ("role", {"name": "member"}),
        ("domain", {"name": "Default"}),
    ],
)
def test_names_are_unique(cloud: Cloud, kind: str, fields: dict[str, Any]) -> None:
    answer = cloud.admin().call("POST", f"{V3}/{kind}s", {kind: fields}, expect=409)
    assert answer["error"]["title"] == "Conflict"


@pytest.mark.parametrize("kind", ["project", "user", "group"])
def test_names_are_unique_within_a_domain_only(cloud: Cloud, kind: str) -> None:
    admin = cloud.admin()
    other = make(admin, "domain", name="Other")["id"]
    for domain_id in ("default", other):
        make(admin, kind, name="twin", domain_id=domain_id)
        fields = {"name": "twin", "domain_id": domain_id}
        admin.call("POST", f"{V3}/{kind}s", {kind: fields}, expect=409)
    assert len(admin.call("GET", f"{V3}/{kind}s?name=twin")[f"{kind}s"]) == 2


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"name": ""}, {"name": "  "}, {"name": None}, {"name": 3}, {"name": "x" * 256}],
)
def test_names_must_be_names(cloud_once: Cloud, kind: str, fields: dict[str, Any]) -> None:
    admin = cloud_once.admin()
    answer = admin.call("POST", f"{V3}/{kind}s", {kind: fields}, expect=400)
    assert answer["error"]["title"] == "Bad Request"
    admin.call("POST", f"{V3}/{kind}s", {"thing": {"name": "x"}}, expect=400)


@pytest.mark.parametrize(("kind", "status"), [("project", 400), ("user", 404), ("group", 404)])
def test_unknown_domain(cloud_once: Cloud, kind: str, status: int) -> None:
    fields = {"name": "x", "domain_id": "f" * 32}
    cloud_once.admin().call("POST", f"{V3}/{kind}s", {kind: fields}, expect=status)


def test_a_user_from_creation_to_deletion(cloud: Cloud) -> None:
    admin = cloud.admin()
    made = make(admin, "user", name="ada", password="engine", email="ada@example.org", options={})
    assert made["email"] == "ada@example.org"
    assert made["password_expires_at"] is None
    assert not {"password", "password_hash", "default_project_id", "description"} & set(made)
    path = f"{V3}/users/{made['id']}"
    ada = cloud.client().login("ada", "engine", "unscoped")
    assert ada.call("GET", path)["user"]["name"] == "ada"
    changed = admin.call("PATCH", path, {"user": {"description": "x", "email": "b@example.org"}})
    assert (changed["user"]["description"], changed["user"]["email"]) == ("x", "b@example.org")
    cleared = admin.call("PATCH", path, {"user": {"description": None}})["user"]
    assert "description" not in cleared
    admin.call("DELETE", path, expect=204)
    assert ada.answer("GET", path).status_code == 401
    admin.call("GET", path, expect=404)


def test_second_factors_are_refused_as_they_would_not_be_asked_for(cloud_once: Cloud) -> None:
    fields = {"name": "x", "options": {"multi_factor_auth_enabled": True}}
    cloud_once.admin().call("POST", f"{V3}/users", {"user": fields}, expect=400)


def test_own_password(cloud: Cloud) -> None:
    admin, nobody = cloud.admin(), cloud.client()
    id = make(admin, "user", name="ada", password="engine")["id"]
    ada = nobody.login("ada", "engine", "unscoped")
    path = f"{V3}/users/{id}/password"
    wrong = {"user": {"original_password": "x", "password": "new"}}
    answer = nobody.answer("POST", path, wrong)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    nobody.call("POST", path, {"user": {"password": "new"}}, expect=400)
    right = {"user": {"original_password": "engine", "password": "new"}}
    nobody.call("POST", f"{V3}/users/{'0' * 32}/password", right, expect=401)
    nobody.call("POST", path, right, expect=204)
    assert ada.answer("GET", f"{V3}/users/{id}").status_code == 401
    nobody.call("POST", path, right, expect=401)
    nobody.login("ada", "new", "unscoped")
    admin.call("PATCH", f"{V3}/users/{id}", {"user": {"options": {"lock_password": True}}})
    locked = {"user": {"original_password": "new", "password": "x"}}
    nobody.call("POST", path, locked, expect=403)


def test_domains_are_disabled_before_they_go_and_take_all_along(cloud: Cloud) -> None:
    admin = cloud.admin()
    domain = make(admin, "domain", name="Guests", description="for a while")
    assert (domain["tags"], domain["options"], domain["enabled"]) == ([], {}, True)
    user = make(admin, "user", name="guest", domain_id=domain["id"], password="pw")
    project = make(admin, "project", name="guest", domain_id=domain["id"])
    path = f"{V3}/domains/{domain['id']}"
    admin.call("DELETE", path, expect=403)
    admin.call("PATCH", path, {"domain": {"enabled": False}})
    admin.call("DELETE", path, expect=204)
    for gone in (path, f"{V3}/users/{user['id']}", f"{V3}/projects/{project['id']}"):
        admin.call("GET", gone, expect=404)
    admin.call("PATCH", f"{V3}/domains/default", {"domain": {"description": "d"}})
    admin.call("DELETE", f"{V3}/domains/default", expect=403)


def test_disabling_a_domain_shuts_its_users_out(cloud: Cloud) -> None:
    admin = cloud.admin()
    domain = make(admin, "domain", name="Guests")["id"]
    make(admin, "user", name="guest", domain_id=domain, password="pw")
    named = {"name": "guest", "domain": {"id": domain}, "password": "pw"}
    proofs = {"methods": ["password"], "password": {"user": named}}
    guest = cloud.client().authenticate(proofs)
    admin.call("PATCH", f"{V3}/domains/{domain}", {"domain": {"enabled": False}})
    assert guest.answer("GET", f"{V3}/auth/projects").status_code == 401
    assert cloud.client().try_login(proofs).status_code == 401


def test_grants_give_and_take(cloud: Cloud) -> None:
    admin = cloud.admin()
    user = make(admin, "user", name="ada", password="engine")["id"]
    project = make(admin, "project", name="web")["id"]
    member = role_id(admin, "member")
    roles = f"{V3}/projects/{project}/users/{user}/roles"
    assert (
        cloud.client().try_login(_password("ada", "engine"), project_scope("web")).status_code
        == 401
    )
    for _ in range(2):
        admin.call("PUT", f"{roles}/{member}", expect=204)
    admin.call("HEAD", f"{roles}/{member}", expect=204)
    assert names(admin.call("GET", roles)) == ["member"]
    ada = cloud.client().login("ada", "engine", project_scope("web"))
    assert [role["name"] for role in ada.body["roles"]] == ["member", "reader"]
    admin.call("DELETE", f"{roles}/{member}", expect=204)
    admin.call("DELETE", f"{roles}/{member}", expect=404)
    admin.call("HEAD", f"{roles}/{member}", expect=404)
    assert ada.answer("GET", f"{V3}/auth/projects").status_code == 401
    for path in (
        f"{V3}/projects/{'0' * 32}/users/{user}/roles/{member}",
        f"{V3}/projects/{project}/users/{'0' * 32}/roles/{member}",
        f"{roles}/{'0' * 32}",
    ):
        admin.call("PUT", path, expect=404)


def _password(name: str, secret: str) -> dict[str, Any]:
    user = {"name": name, "domain": {"id": "default"}, "password": secret}
    return {"methods": ["password"], "password": {"user": user}}


@pytest.mark.parametrize("target", ["domains/default", "system"])
def test_grants_on_domains_and_the_system(cloud: Cloud, target: str) -> None:
    admin = cloud.admin()
    user = make(admin, "user", name="ada", password="engine")["id"]
    reader = role_id(admin, "reader")
    roles = f"{V3}/{target}/users/{user}/roles"
    admin.call("PUT", f"{roles}/{reader}", expect=204)
    assert names(admin.call("GET", roles)) == ["reader"]
    scope = SYSTEM if target == "system" else {"domain": {"id": "default"}}
    ada = cloud.client().login("ada", "engine", scope)
    assert "demo" in names(ada.call("GET", f"{V3}/users"))
    ada.call("POST", f"{V3}/users", {"user": {"name": "x"}}, expect=403)


def test_groups_bring_their_roles(cloud: Cloud) -> None:
    admin = cloud.admin()
    user = make(admin, "user", name="ada", password="engine")["id"]
    group = make(admin, "group", name="engineers")["id"]
    project = make(admin, "project", name="web")["id"]
    roles = f"{V3}/projects/{project}/groups/{group}/roles/{role_id(admin, 'member')}"
    admin.call("PUT", roles, expect=204)
    member = f"{V3}/groups/{group}/users/{user}"
    admin.call("HEAD", member, expect=404)
    admin.call("PUT", member, expect=204)
    admin.call("HEAD", member, expect=204)
    assert names(admin.call("GET", f"{V3}/groups/{group}/users")) == ["ada"]
    assert names(admin.call("GET", f"{V3}/users/{user}/groups")) == ["engineers"]
    ada = cloud.client().login("ada", "engine", project_scope("web"))
    assert names(ada.call("GET", f"{V3}/auth/projects")) == ["web"]
    assert names(ada.call("GET", f"{V3}/users/{user}/projects")) == ["web"]
    admin.call("DELETE", member, expect=204)
    admin.call("DELETE", member, expect=404)
    assert ada.answer("GET", f"{V3}/auth/projects").status_code == 401


def test_role_assignments(cloud: Cloud) -> None:
    admin = cloud.admin()
    demo = cloud.demo()
    user, project = demo.body["user"]["id"], demo.body["project"]["id"]
    path = f"{V3}/role_assignments?user.id={user}"
    (plain,) = admin.call("GET", path)["role_assignments"]
    assert plain["scope"] == {"project": {"id": project}}
    assert plain["user"] == {"id": user}
    assert plain["links"]["assignment"].endswith(f"/roles/{plain['role']['id']}")
    (named,) = admin.call("GET", f"{path}&include_names")["role_assignments"]
    assert named["role"]["name"] == "member"
    assert named["user"]["name"] == "demo"
    assert named["scope"]["project"]["domain"] == {"id": "default", "name": "Default"}
    effective = admin.call("GET", f"{path}&effective=True&include_names=True")
    assert {held["role"]["name"] for held in effective["role_assignments"]} == {"member", "reader"}
    system = admin.call("GET", f"{V3}/role_assignments?scope.system=all")["role_assignments"]
    assert [held["scope"] for held in system] == [{"system": {"all": True}}]
    admin.call("GET", f"{V3}/role_assignments?user.id=a&group.id=b", expect=400)
    demo.call("GET", path, expect=403)


def test_effective_assignments_of_groups_are_those_of_their_members(cloud: Cloud) -> None:
    admin = cloud.admin()
    user = cloud.demo().body["user"]["id"]
    group = make(admin, "group", name="engineers")["id"]
    admin.call("PUT", f"{V3}/groups/{group}/users/{user}", expect=204)
    reader = role_id(admin, "reader")
    admin.call("PUT", f"{V3}/domains/default/groups/{group}/roles/{reader}", expect=204)
    asked = f"{V3}/role_assignments?scope.domain.id=default&role.id={reader}"
    (plain,) = admin.call("GET", asked)["role_assignments"]
    assert plain["group"] == {"id": group}
    found = admin.call("GET", f"{asked}&effective")["role_assignments"]
    assert user in {held["user"]["id"] for held in found}


def test_a_domains_own_role_is_no_effective_one(cloud: Cloud) -> None:
    admin = cloud.admin()
    demo = cloud.demo()
    user, project = demo.body["user"]["id"], demo.body["project"]["id"]
    private = make(admin, "role", name="admin", domain_id="default")["id"]
    auditor = make(admin, "role", name="auditor")["id"]
    admin.call("PUT", f"{V3}/roles/{private}/implies/{auditor}", expect=201)
    grant = f"{V3}/projects/{project}/users/{user}/roles/{private}"
    admin.call("PUT", grant, expect=204)
    again = cloud.demo()
    assert [role["name"] for role in again.body["roles"]] == ["auditor", "member", "reader"]
    again.call("GET", f"{V3}/users", expect=403)
    path = f"{V3}/role_assignments?user.id={user}"
    plain = admin.call("GET", path)["role_assignments"]
    assert private in {held["role"]["id"] for held in plain}
    effective = admin.call("GET", f"{path}&effective&include_names")["role_assignments"]
    names = {held["role"]["name"] for held in effective}
    assert names == {"auditor", "member", "reader"}


def test_roles_and_what_they_imply(cloud: Cloud) -> None:
    admin = cloud.admin()
    inferences = admin.call("GET", f"{V3}/role_inferences")["role_inferences"]
    chain = {i["prior_role"]["name"]: [r["name"] for r in i["implies"]] for i in inferences}
    assert chain == {"admin": ["manager"], "manager": ["member"], "member": ["reader"]}
    auditor = make(admin, "role", name="auditor", description=None, options={})
    reader = role_id(admin, "reader")
    path = f"{V3}/roles/{auditor['id']}/implies/{reader}"
    body = admin.call("PUT", path, expect=201)["role_inference"]
    assert (body["prior_role"]["name"], body["implies"]["name"]) == ("auditor", "reader")
    assert admin.call("GET", path)["role_inference"] == body
    admin.call("HEAD", path, expect=204)
    implied = admin.call("GET", f"{V3}/roles/{auditor['id']}/implies")["role_inference"]["implies"]
    assert [role["name"] for role in implied] == ["reader"]
    back = f"{V3}/roles/{reader}/implies/{auditor['id']}"
    admin.call("PUT", back, expect=403)
    admin.call("PUT", f"{V3}/roles/{reader}/implies/{role_id(admin, 'admin')}", expect=403)
    admin.call("DELETE", path, expect=204)
    admin.call("DELETE", path, expect=404)
    admin.call("DELETE", f"{V3}/roles/{reader}", expect=403)
    admin.call("PATCH", f"{V3}/roles/{reader}", {"role": {"name": "x"}}, expect=403)
    admin.call("PATCH", f"{V3}/roles/{auditor['id']}", {"role": {"name": "inspector"}})
    admin.call("DELETE", f"{V3}/roles/{auditor['id']}", expect=204)
    admin.call("GET", f"{V3}/roles/{auditor['id']}", expect=404)


def test_tags(cloud: Cloud) -> None:
    admin = cloud.admin()
    id = make(admin, "project", name="web", tags=["blue"])["id"]
    path = f"{V3}/projects/{id}/tags"
    admin.call("PUT", f"{path}/green", expect=201)
    admin.call("PUT", f"{path}/green", expect=201)
    assert admin.call("GET", path)["tags"] == ["blue", "green"]
    admin.call("GET", f"{path}/green", expect=204)
    admin.call("DELETE", f"{path}/blue", expect=204)
    admin.call("GET", f"{path}/blue", expect=404)
    assert names(admin.call("GET", f"{V3}/projects?tags=green")) == ["web"]
    assert names(admin.call("GET", f"{V3}/projects?tags-any=green,red")) == ["web"]
    assert "web" not in names(admin.call("GET", f"{V3}/projects?not-tags=green"))
    assert admin.call("PUT", path, {"tags": ["a", "b"]})["tags"] == ["a", "b"]
    admin.call("PUT", path, {"tags": ["a,b"]}, expect=400)
    admin.call("DELETE", path, expect=204)
    assert admin.call("GET", path)["tags"] == []


def test_the_hierarchy_of_projects(cloud: Cloud) -> None:
    admin = cloud.admin()
    top = make(admin, "project", name="top")["id"]
    middle = make(admin, "project", name="middle", parent_id=top)["id"]
    low = make(admin, "project", name="low", parent_id=middle)["id"]
    shown = admin.call("GET", f"{V3}/projects/{middle}?parents_as_list&subtree_as_ids")["project"]
    assert [above["project"]["id"] for above in shown["parents"]] == [top]
    assert shown["subtree"] == {low: None}
    above = admin.call("GET", f"{V3}/projects/{low}?parents_as_ids")["project"]["parents"]
    assert above == {middle: {top: {"default": None}}}
    assert names(admin.call("GET", f"{V3}/projects?parent_id={top}")) == ["middle"]
    admin.call("DELETE", f"{V3}/projects/{top}", expect=403)
    fields = {"name": "x", "parent_id": "f" * 32}
    admin.call("POST", f"{V3}/projects", {"project": fields}, expect=400)
    fourth = make(admin, "project", name="4", parent_id=low)["id"]
    fifth = make(admin, "project", name="5", parent_id=fourth)["id"]
    fields = {"name": "6", "parent_id": fifth}
    admin.call("POST", f"{V3}/projects", {"project": fields}, expect=403)


def test_filters_and_pages(cloud: Cloud) -> None:
    admin = cloud.admin()
    for name in ("web-1", "web-2", "Web-3", "off"):
        make(admin, "project", name=name, enabled=name != "off")
    users = f"{V3}/projects"
    assert names(admin.call("GET", f"{users}?name__startswith=web")) == ["web-1", "web-2"]
    assert len(names(admin.call("GET", f"{users}?name__icontains=WEB"))) == 3
    assert names(admin.call("GET", f"{users}?name__endswith=2")) == ["web-2"]
    assert names(admin.call("GET", f"{users}?name__contains=%25")) == []
    assert names(admin.call("GET", f"{users}?enabled=False")) == ["off"]
    assert "off" not in names(admin.call("GET", f"{users}?enabled=True&unknown=1"))
    everything = names(admin.call("GET", users))
    assert everything == sorted(everything)
    seen: list[str] = []
    page = admin.call("GET", f"{users}?limit=3")
    for _ in range(5):
        seen += names(page)
        following = page["links"]["next"]
        if following is None:
            break
        assert page["truncated"] is True
        page = admin.call("GET", following.removeprefix("http://127.0.0.1:8774"))
    assert seen == everything
    backwards = names(admin.call("GET", f"{users}?sort_key=name&sort_dir=desc"))
    assert backwards == everything[::-1]
    admin.call("GET", f"{users}?marker={'0' * 32}", expect=404)
    admin.call("GET", f"{users}?limit=many", expect=400)


def test_what_a_plain_member_may_not(cloud: Cloud) -> None:
    demo = cloud.demo()
    project, user = demo.body["project"]["id"], demo.body["user"]["id"]
    for path in ("users", "projects", "domains", "roles", "groups", "services", "role_assignments"):
        error = demo.call("GET", f"{V3}/{path}", expect=403)["error"]
        assert error["message"].startswith("You are not authorized to perform the requested action")
    demo.call("GET", f"{V3}/projects/{project}")
    demo.call("GET", f"{V3}/projects/{'0' * 32}", expect=403)
    demo.call("GET", f"{V3}/users/{user}")
    demo.call("PATCH", f"{V3}/users/{user}", {"user": {"name": "x"}}, expect=403)
    demo.call("POST", f"{V3}/projects", {"project": {"name": "x"}}, expect=403)
    member = role_id(cloud.admin(), "admin")
    demo.call("PUT", f"{V3}/projects/{project}/users/{user}/roles/{member}", expect=403)


def test_a_domains_manager_stays_within_it(cloud: Cloud) -> None:
    admin = cloud.admin()
    domain = make(admin, "domain", name="Guests")["id"]
    boss = make(admin, "user", name="boss", domain_id=domain, password="pw")["id"]
    manager = role_id(admin, "manager")
    admin.call("PUT", f"{V3}/domains/{domain}/users/{boss}/roles/{manager}", expect=204)
    named = {"name": "boss", "domain": {"id": domain}, "password": "pw"}
    session = cloud.client().authenticate(
        {"methods": ["password"], "password": {"user": named}}, {"domain": {"id": domain}}
    )
    user = make(session, "user", name="guest", password="pw")
    project = make(session, "project", name="tent")
    assert (user["domain_id"], project["domain_id"]) == (domain, domain)
    assert sorted(names(session.call("GET", f"{V3}/users"))) == ["boss", "guest"]
    assert names(session.call("GET", f"{V3}/domains")) == ["Guests"]
    roles = f"{V3}/projects/{project['id']}/users/{user['id']}/roles"
    session.call("PUT", f"{roles}/{role_id(admin, 'member')}", expect=204)
    session.call("PUT", f"{roles}/{role_id(admin, 'admin')}", expect=403)
    fields = {"name": "x", "domain_id": "default"}
    session.call("POST", f"{V3}/users", {"user": fields}, expect=403)
    session.call("GET", f"{V3}/users?domain_id=default", expect=403)
    demo = cloud.demo().body["user"]["id"]
    session.call("GET", f"{V3}/users/{demo}", expect=403)


def test_the_catalog_as_lists(cloud_once: Cloud) -> None:
    admin = cloud_once.admin()
    services = admin.call("GET", f"{V3}/services")["services"]
    assert {service["type"] for service in services} == {
        "compute",
        "identity",
        "image",
        "placement",
    }
    compute = admin.call("GET", f"{V3}/services?type=compute")["services"][0]
    assert admin.call("GET", f"{V3}/services/{compute['id']}")["service"] == compute
    public = admin.call("GET", f"{V3}/endpoints?interface=public&service_id={compute['id']}")
    assert [point["url"] for point in public["endpoints"]] == ["http://127.0.0.1:8774/compute/v2.1"]
    assert cloud_once.demo().call("GET", f"{V3}/regions")["regions"][0]["id"] == "RegionOne"
    admin.call("GET", f"{V3}/regions/Nowhere", expect=404)
    answer = admin.answer("POST", f"{V3}/services", {"service": {"type": "x"}})
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_unknown_routes_and_methods(cloud_once: Cloud) -> None:
    admin = cloud_once.admin()
    admin.call("GET", f"{V3}/nothing", expect=404)
    assert admin.answer("PUT", f"{V3}/users").status_code == 405


def test_a_project_tag_of_any_letters_is_in_an_encoded_link(cloud: Cloud) -> None:
    admin = cloud.admin()
    project = admin.body["project"]["id"]
    path = f"/identity/v3/projects/{project}/tags/%E6%97%A5%E6%9C%AC"
    answer = admin.simulate_put(path, headers={"X-Auth-Token": admin.token})
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(path)


def test_a_part_of_a_name_that_is_empty_is_no_filter(cloud: Cloud) -> None:
    admin = cloud.admin()
    admin.call("GET", "/identity/v3/users?name__icontains=", expect=400)
    assert admin.call("GET", "/identity/v3/users?name=")["users"] == []

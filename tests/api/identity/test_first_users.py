"""The first users: made once, and with the passwords that are given."""

from __future__ import annotations

from api.identity.first_users import KEY, first_users
from tests.parts.cloud import ADMIN_PASSWORD, DEMO_PASSWORD, Cloud, project_scope


def test_again_changes_nothing(cloud: Cloud) -> None:
    admin = cloud.admin()
    before = len(cloud.bus.events)
    cloud.bus.send(first_users(cloud.services.engine, ADMIN_PASSWORD, DEMO_PASSWORD), KEY)
    assert len(cloud.bus.events) == before
    admin.call("GET", "/identity/v3/users")


def test_another_password_is_the_password(cloud: Cloud) -> None:
    cloud.bus.send(first_users(cloud.services.engine, "another", DEMO_PASSWORD), KEY)
    cloud.client().login("admin", "another", project_scope("admin"))
    cloud.demo()
    identity = {"name": "admin", "domain": {"id": "default"}, "password": ADMIN_PASSWORD}
    old = {"methods": ["password"], "password": {"user": identity}}
    assert cloud.client().try_login(old).status_code == 401

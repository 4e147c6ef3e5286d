"""The first users: made once."""

from __future__ import annotations

from api.identity.first_users import KEY, first_users
from tests.parts.cloud import ADMIN_PASSWORD, DEMO_PASSWORD, Cloud, project_scope


def test_again_changes_nothing(cloud: Cloud) -> None:
    admin = cloud.admin()
    before = len(cloud.bus.events)
    cloud.bus.send(first_users(cloud.services.engine, ADMIN_PASSWORD, DEMO_PASSWORD), KEY)
    assert len(cloud.bus.events) == before
    admin.call("GET", "/identity/v3/users")


def test_another_password_changes_nothing(cloud: Cloud) -> None:
    before = len(cloud.bus.events)
    cloud.bus.send(first_users(cloud.services.engine, "another", DEMO_PASSWORD), KEY)
    assert len(cloud.bus.events) == before
    cloud.client().login("admin", ADMIN_PASSWORD, project_scope("admin"))
    cloud.demo()

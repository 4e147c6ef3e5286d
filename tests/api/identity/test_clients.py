"""Real clients against a real server: keystoneauth1, openstacksdk, the openstack command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import openstack
import pytest
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3

from tests.parts import cloud as parts

if TYPE_CHECKING:
    from tests.parts.postgres import PostgresServer

pytestmark = [
    # The SDK's own use of what it deprecates is not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.OpenStackDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    with make_server("127.0.0.1", port, app, Server, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture(scope="module")
def url(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("cloud")
    with (
        parts.cloud(database.url, folder, public_url=address) as cloud,
        served(cloud.app, port),
    ):
        yield address


@pytest.fixture
def admin(url: str) -> Iterator[Any]:
    with openstack.connect(
        auth_url=f"{url}/identity",
        username="admin",
        password=parts.ADMIN_PASSWORD,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
        load_yaml_config=False,
        load_envvars=False,
    ) as connection:
        yield connection


@pytest.mark.parametrize("suffix", ["", "/", "/v3", "/v3/"])
def test_keystoneauth_by_any_form_of_the_url(url: str, suffix: str) -> None:
    auth = v3.Password(
        f"{url}/identity{suffix}",
        username="demo",
        password=parts.DEMO_PASSWORD,
        user_domain_name="Default",
        project_name="demo",
        project_domain_name="Default",
    )
    made = session.Session(auth=auth)
    assert str(made.get_token()).startswith("gAAAA")
    assert made.get_endpoint(service_type="compute") == f"{url}/compute/v2.1"
    access = auth.get_access(made)
    assert sorted(access.role_names or ()) == ["member", "reader"]
    assert not access.will_expire_soon(3500)


def test_keystoneauth_is_refused_with_a_wrong_password(url: str) -> None:
    auth = v3.Password(
        f"{url}/identity/v3",
        username="demo",
        password="wrong",
        user_domain_id="default",
    )
    with pytest.raises(exceptions.Unauthorized):
        session.Session(auth=auth).get_token()


def test_keystoneauth_by_token_and_by_application_credential(url: str, admin: Any) -> None:
    by_token = session.Session(
        auth=v3.Token(f"{url}/identity/v3", admin.auth_token, project_id=admin.current_project_id)
    )
    assert by_token.get_project_id() == admin.current_project_id
    made = admin.identity.create_application_credential(admin.current_user_id, "robot")
    robot = session.Session(
        auth=v3.ApplicationCredential(
            f"{url}/identity/v3",
            application_credential_id=made.id,
            application_credential_secret=made.secret,
        )
    )
    assert robot.get_project_id() == admin.current_project_id
    assert robot.get(f"{url}/identity/v3/auth/projects").json()["projects"]


def test_the_sdk_makes_what_it_needs(admin: Any) -> None:
    identity = admin.identity
    assert {project.name for project in identity.projects()} >= {"admin", "demo", "service"}
    project = identity.create_project(name="web", domain_id="default")
    user = identity.create_user(name="ada", password="engine", domain_id="default")
    assert identity.find_project("web").id == project.id
    assert identity.find_user("ada").id == user.id
    role = identity.find_role("member")
    identity.assign_project_role_to_user(project, user, role)
    assert identity.validate_user_has_project_role(project, user, role)
    held = list(identity.role_assignments(user_id=user.id))
    assert [entry.scope["project"]["id"] for entry in held] == [project.id]
    as_ada = admin.connect_as(username="ada", password="engine", project_id=project.id)
    assert as_ada.current_project_id == project.id
    updated = identity.update_user(user, is_enabled=False)
    assert updated.is_enabled is False
    group = identity.create_group(name="engineers", domain_id="default")
    identity.add_user_to_group(user, group)
    assert identity.check_user_in_group(user, group)
    identity.delete_group(group)
    identity.delete_user(user)
    identity.delete_project(project)
    assert identity.find_user("ada") is None
    assert {endpoint.interface for endpoint in identity.endpoints()} == {
        "public",
        "internal",
        "admin",
    }


def test_the_command_line_client(url: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": parts.ADMIN_PASSWORD,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne",
        "OS_IDENTITY_API_VERSION": "3",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("openstack")), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("token", "issue", "-f", "value", "-c", "id").startswith("gAAAA")
    run("user", "create", "grace", "--password", "hopper", "--project", "demo")
    run("role", "add", "--user", "grace", "--project", "demo", "reader")
    listed = run("role", "assignment", "list", "--user", "grace", "--names", "-f", "value")
    assert listed.split()[:3] == ["reader", "grace@Default", "demo@Default"]
    secret = run("application", "credential", "create", "cli", "-f", "value", "-c", "secret")
    assert len(secret.strip()) == 86

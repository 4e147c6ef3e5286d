"""Where a site's passwords are kept for its users: clouds.yaml and openrc, mode 0600.

The admin's password is made at the first start, or taken from CHRONOVA_ADMIN_PASSWORD. Nothing
else holds it in clear. Later starts keep what the files hold: who changes the password in the
cloud changes it in clouds.yaml too, or has it reset (``chronova admin reset-password``).
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from chronova.settings import Settings

ENVIRONMENT = "CHRONOVA_ADMIN_PASSWORD"


class Credentials(msgspec.Struct, frozen=True):
    """The two users that a new site has."""

    admin: str
    demo: str


def clouds_file(settings: Settings) -> Path:
    """The clouds.yaml of the site."""
    return settings.data_path / "clouds.yaml"


def read(settings: Settings, environment: Mapping[str, str] = os.environ) -> Credentials:
    """The passwords: those kept, else new ones."""
    path = clouds_file(settings)
    kept = Credentials("", "")
    if path.exists():
        clouds = msgspec.yaml.decode(path.read_bytes())["clouds"]
        kept = Credentials(
            clouds["chronova"]["auth"]["password"], clouds["demo"]["auth"]["password"]
        )
    return Credentials(
        admin=kept.admin or new_password(environment), demo=kept.demo or secrets.token_urlsafe(18)
    )


def new_password(environment: Mapping[str, str] = os.environ) -> str:
    """A password for the admin: that of the environment, else a random one."""
    return environment.get(ENVIRONMENT) or secrets.token_urlsafe(18)


def write(settings: Settings, credentials: Credentials) -> None:
    """Write clouds.yaml and openrc for this site's address."""
    clouds = {
        "clouds": {
            "chronova": _cloud(settings, "admin", credentials.admin, "admin"),
            "demo": _cloud(settings, "demo", credentials.demo, "demo"),
        }
    }
    _private(clouds_file(settings), msgspec.yaml.encode(clouds).decode())
    variables = {
        "OS_AUTH_URL": f"{settings.url}/identity/v3",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": credentials.admin,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": settings.region,
        "OS_IDENTITY_API_VERSION": "3",
        "CHRONOVA_DATA": str(settings.data_path),
    }
    lines = ["unset OS_CLOUD"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    venv = Path(sys.prefix) / "bin"
    if (venv / "openstack").exists():
        there, quoted = shlex.quote(f":{venv}:"), shlex.quote(str(venv))
        lines.append(f'case ":$PATH:" in *{there}*) ;; *) export PATH="$PATH":{quoted} ;; esac')
    _private(settings.data_path / "openrc", "\n".join(lines) + "\n")


def _cloud(settings: Settings, user: str, password: str, project: str) -> dict[str, object]:
    return {
        "auth": {
            "auth_url": f"{settings.url}/identity/v3",
            "username": user,
            "password": password,
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": settings.region,
        "identity_api_version": 3,
    }


def _private(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)

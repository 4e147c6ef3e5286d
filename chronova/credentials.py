"""Where a site's passwords are kept for its users: clouds.yaml and openrc, mode 0600.

The admin's password is made at the first start, or taken from CHRONOVA_ADMIN_PASSWORD. Nothing
else holds it in clear, no backup either. Later starts keep what the files hold: who changes the
password in the cloud changes it in clouds.yaml too, or has it reset (``chronova admin
reset-password``), which also writes the files where they are missing.
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
CLOUDS = ("chronova", "demo")
"""Names in clouds.yaml, in the order of ``Credentials``."""


class Credentials(msgspec.Struct, frozen=True):
    """Passwords of the two users that a new site has; empty: not known here."""

    admin: str
    demo: str


def clouds_file(settings: Settings) -> Path:
    """The clouds.yaml of the site."""
    return settings.data_path / "clouds.yaml"


def openrc_file(settings: Settings) -> Path:
    """What the admin's shell sources."""
    return settings.data_path / "openrc"


def read(settings: Settings, environment: Mapping[str, str] = os.environ) -> Credentials:
    """The passwords that are kept; without clouds.yaml the admin's may be in the environment."""
    path = clouds_file(settings)
    if not path.exists():
        return Credentials(environment.get(ENVIRONMENT, ""), "")
    clouds = msgspec.yaml.decode(path.read_bytes())["clouds"]
    return Credentials(
        *(clouds[name]["auth"]["password"] if name in clouds else "" for name in CLOUDS)
    )


def completed(known: Credentials) -> Credentials:
    """With new passwords where none is known: those of a new site."""
    return Credentials(known.admin or new_password(), known.demo or random_password())


def random_password() -> str:
    """One that nobody has."""
    return secrets.token_urlsafe(18)


def new_password(environment: Mapping[str, str] = os.environ) -> str:
    """A password for the admin: that of the environment, else a random one."""
    return environment.get(ENVIRONMENT) or random_password()


def write(settings: Settings, credentials: Credentials) -> None:
    """Write clouds.yaml and openrc for this site's address, with the users whose password is
    known; without the admin's nothing is written."""
    if not credentials.admin:
        return
    passwords = {"admin": credentials.admin, "demo": credentials.demo}
    clouds = {
        name: _cloud(settings, user, password, user)
        for name, (user, password) in zip(CLOUDS, passwords.items(), strict=True)
        if password
    }
    _private(clouds_file(settings), msgspec.yaml.encode({"clouds": clouds}).decode())
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
    _private(openrc_file(settings), "\n".join(lines) + "\n")


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

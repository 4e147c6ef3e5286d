"""What a new site begins with: users, flavors, the demo image; and the admin's way back in.

It is made once: what an operator removes later stays away (``site_id.Identity.furnished``). Users
come through the log, since nobody can log in before; all else through the API, as anybody would
do it. A crash halfway is gone on with by the next start: each step passes over what is there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from api.bus import Actor
from api.identity.passwords import Passwords
from api.log_bus import LogBus
from chronova import modes
from chronova.client import Client, ClientError
from chronova.connections import open_site_log
from chronova.credentials import Credentials
from chronova.demo_image import DemoImageUnavailable, build
from chronova.settings import Settings
from commands.identity.bootstrap import (
    DOMAIN_ID,
    PROJECTS,
    ROLES,
    Bootstrap,
    BootstrapUser,
    ResetAdmin,
)
from events.message import Command
from projections.waiting import PositionWaiter

FLAVORS = (
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
    ("5", "m1.xlarge", 8, 16384, 160),
)
"""Id, name, vCPUs, RAM (MiB), root disk (GiB): the usual ones."""

PLACEHOLDER = b"Chronova demo image placeholder: simulated hosts boot nothing.\n" * 16

Say = Callable[[str], None]


def found(settings: Settings, credentials: Credentials) -> None:
    """Make domain, projects, roles and the users admin and demo with these passwords, unless the
    cloud has begun already."""
    command = Bootstrap(
        admin=_user("admin", credentials.admin),
        demo=_user("demo", credentials.demo),
        role_ids={name: uuid.uuid4().hex for name in ROLES},
        project_ids={name: uuid.uuid4().hex for name in PROJECTS},
    )
    _send(settings, command)


def reset_admin(settings: Settings, password: str) -> None:
    """Set the admin's password, enable it and give it back its roles."""
    command = ResetAdmin(
        admin=_user("admin", password),
        role_ids={"admin": uuid.uuid4().hex},
        project_ids={"admin": uuid.uuid4().hex},
    )
    _send(settings, command)


def reset_demo(settings: Settings, admin: str, password: str) -> bool:
    """Set the password of the user demo, as the admin with the password ``admin``; False: there is
    no such user any more. Raises ``ClientError``."""
    client = Client(settings.url)
    client.login("admin", admin, "admin")
    found = client.call("GET", "/identity/v3/users?name=demo&domain_id=default")["users"]
    for user in found:
        changed = {"user": {"password": password}}
        client.call("PATCH", f"/identity/v3/users/{user['id']}", changed)
    return bool(found)


def _user(name: str, password: str) -> BootstrapUser:
    hashed = Passwords().hash(password)
    return BootstrapUser(user_id=uuid.uuid4().hex, user_name=name, password_hash=hashed)


def _send(settings: Settings, command: Command) -> None:
    """Have it decided; returns once reads show it."""
    log = open_site_log(settings)
    waiter = PositionWaiter(settings.database_url)
    bus = LogBus(log, waiter)
    try:
        bus.send(command, DOMAIN_ID, Actor("", "", f"req-{uuid.uuid4()}"))
    finally:
        bus.close()
        waiter.close()
        log.close()


def ensure_flavors(client: Client) -> None:
    """Make the usual flavors, those that are missing."""
    known = client.call("GET", "/compute/v2.1/flavors?is_public=None")["flavors"]
    names = {flavor["name"] for flavor in known}
    for id, name, vcpus, ram, disk in FLAVORS:
        if name not in names:
            body = {"id": id, "name": name, "vcpus": vcpus, "ram": ram, "disk": disk}
            try:
                client.call("POST", "/compute/v2.1/flavors", {"flavor": body})
            except ClientError as error:
                if error.status != 409:
                    raise


def ensure_image(settings: Settings, client: Client, say: Say) -> None:
    """Register the public image ``demo``, unless there is one. What an earlier start left half
    made is removed; images of other projects are left alone."""
    own = f"/image/v2/images?name=demo&owner={client.project_id}&limit=1000"
    images = client.call("GET", own)["images"]
    if any(image["status"] == "active" for image in images):
        return
    for image in images:
        if image["owner"] == client.project_id:
            client.call("DELETE", f"/image/v2/images/{image['id']}")
    path, fields = _image(settings, say)
    body = {"name": "demo", "visibility": "public", "container_format": "bare", **fields}
    image = client.call("POST", "/image/v2/images", body)
    client.upload(f"/image/v2/images/{image['id']}/file", path)


def _image(settings: Settings, say: Say) -> tuple[Path, dict[str, object]]:
    if settings.driver == "libvirt":
        try:
            folder = settings.data_path / "demo-image"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with modes.usual():
                demo = build(folder, say)
        except DemoImageUnavailable as error:
            say(f"The demo image cannot be built here ({error}); a placeholder takes its name")
        else:
            return demo.path, {
                "disk_format": demo.disk_format,
                "min_disk": demo.min_disk_gib,
                "min_ram": demo.min_ram_mib,
                "img_config_drive": "mandatory",  # the guest has no network to ask by
                **demo.properties,
            }
    path = settings.data_path / "demo-image" / "placeholder.raw"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PLACEHOLDER)
    return path, {"disk_format": "raw"}

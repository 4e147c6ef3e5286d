"""A compute API over real deciders and a real Postgres, and a host that does what it is told."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import falcon.testing
import sqlalchemy

import commands.compute
import commands.fleet
import commands.image  # noqa: F401 - takes part
import handlers.reactions  # noqa: F401 - take part
import projections.compute
import projections.fleet
import projections.image  # noqa: F401 - takes part
from api.app import create_app
from api.authentication import Unauthenticated
from api.caller import Caller
from api.services import ApiSettings, Services
from commands.compute.boot import BuildGuest, ReportBootFailed, ReportDomainStarted
from commands.compute.delete import RemoveGuest, ReportGuestRemoved
from commands.compute.flavor import CreateFlavor
from commands.compute.guest import GuestReport, GuestWork
from commands.compute.key_pair import ImportKeyPair
from commands.compute.power import (
    ReportGuestStarted,
    ReportGuestStopped,
    StartGuest,
    StopGuest,
)
from commands.compute.quota import SetQuotas
from commands.compute.reboot import RebootGuest, ReportGuestRebooted
from commands.fleet.host import RegisterHost
from commands.image.create import CreateImage
from commands.image.upload import BeginUpload, FinishUpload
from events.compute.flavor import KEY
from events.fleet.inventory import DISK_GB, MEMORY_MB, VCPU, Hypervisor, Inventory
from tests.parts.local_bus import LocalBus

PROJECT = "1" * 32
OTHER = "2" * 32
OPERATORS = "3" * 32
SHA512 = "ab" * 64
UNLIMITED = ("instances", "cores", "ram")


def caller(user: str, project: str, *roles: str) -> Caller:
    return Caller(
        user_id=user,
        user_name=user,
        user_domain_id="default",
        user_domain_name="Default",
        project_id=project,
        roles=frozenset(roles),
        expires_at=2**60,
    )


CALLERS = {
    "member": caller("alice", PROJECT, "member", "reader"),
    "reader": caller("rita", PROJECT, "reader"),
    "stranger": caller("bob", OTHER, "member", "reader"),
    "admin": caller("root", OPERATORS, "admin", "manager", "member", "reader"),
    "project-admin": caller("ada", PROJECT, "admin", "manager", "member", "reader"),
    "system": Caller(
        user_id="root",
        user_name="root",
        user_domain_id="default",
        user_domain_name="Default",
        system=True,
        roles=frozenset({"admin", "member", "reader"}),
        expires_at=2**60,
    ),
}
"""Tokens and what they stand for."""


class KnownTokens:
    """An identity service with a fixed list of tokens."""

    def authenticate(self, token: str) -> Caller:
        if token not in CALLERS:
            raise Unauthenticated
        return CALLERS[token]


class World:
    """The API (``client``), the control plane behind it (``bus``), and one host's part."""

    def __init__(self, services: Services, bus: LocalBus) -> None:
        self.engine = services.engine
        self.bus = bus
        self.settings = services.settings
        self.client = falcon.testing.TestClient(create_app(services, ("compute",), KnownTokens()))
        self._done = 0

    @classmethod
    def new(cls, engine: sqlalchemy.Engine, path: Path) -> World:
        """A world of its own at http://cloud.test."""
        bus = LocalBus(engine)
        settings = ApiSettings(public_url="http://cloud.test", data_path=path)
        return cls(Services(bus, engine, settings), bus)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = None,
        token: str | None = "member",
        headers: dict[str, str] | None = None,
    ) -> falcon.testing.Result:
        sent = dict(headers or {})
        if token is not None:
            sent["X-Auth-Token"] = token
        if version is not None:
            sent["OpenStack-API-Version"] = f"compute {version}"
        text = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            text = body if isinstance(body, str) else json.dumps(body)
        path, _, query = path.partition("?")
        full = path if path.startswith("/compute") else f"/compute/v2.1{path}"
        return self.client.simulate_request(
            method, full, headers=sent, body=text, query_string=query
        )

    def get(self, path: str, **given: Any) -> falcon.testing.Result:
        return self.request("GET", path, **given)

    def post(self, path: str, body: Any, **given: Any) -> falcon.testing.Result:
        return self.request("POST", path, body, **given)

    def put(self, path: str, body: Any = None, **given: Any) -> falcon.testing.Result:
        return self.request("PUT", path, body, **given)

    def delete(self, path: str, **given: Any) -> falcon.testing.Result:
        return self.request("DELETE", path, **given)

    def act(self, server_id: str, body: Any, **given: Any) -> falcon.testing.Result:
        return self.post(f"/servers/{server_id}/action", body, **given)

    def flavor(self, name: str = "m1.tiny", **given: Any) -> str:
        values: dict[str, Any] = {
            "flavor_id": name,
            "vcpus": 1,
            "ram_mib": 512,
            "root_gib": 1,
        } | given
        self.bus.send(CreateFlavor(name=name, **values), KEY)
        return str(values["flavor_id"])

    def image(
        self,
        name: str = "demo",
        owner: str = PROJECT,
        size_bytes: int = 64 << 20,
        virtual_size_bytes: int | None = 64 << 20,
        **given: Any,
    ) -> str:
        image_id = self.queued_image(name, owner, **given)
        upload = str(uuid.uuid4())
        self.bus.send(
            BeginUpload(image_id=image_id, upload_id=upload, staged=False, lease_ms=60_000),
            image_id,
        )
        self.bus.send(
            FinishUpload(
                image_id=image_id,
                upload_id=upload,
                checksum=SHA512,
                md5="cd" * 16,
                size_bytes=size_bytes,
                virtual_size_bytes=virtual_size_bytes,
                detected_formats=["raw"],
            ),
            image_id,
        )
        return image_id

    def queued_image(self, name: str = "demo", owner: str = PROJECT, **given: Any) -> str:
        image_id = str(uuid.uuid4())
        values: dict[str, Any] = {
            "visibility": "public",
            "protected": False,
            "hidden": False,
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk_gib": 0,
            "min_ram_mib": 0,
            "tags": [],
            "properties": {"hw_disk_bus": "virtio"},
        }
        command = CreateImage(image_id=image_id, owner=owner, name=name, **(values | given))
        self.bus.send(command, image_id)
        return image_id

    def key_pair(self, name: str = "mine", user: str = "alice") -> None:
        self.bus.send(
            ImportKeyPair(
                user_id=user,
                name=name,
                type="ssh",
                public_key="ssh-ed25519 AAAAC3Nza alice",
                fingerprint="00:11",
            ),
            user,
        )

    def host(self, name: str = "c1", vcpus: int = 64, public_key: str = "") -> None:
        self.bus.send(
            RegisterHost(
                host=name,
                node_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"node {name}")),
                service_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"service {name}")),
                public_key=public_key,
                hypervisor=Hypervisor(
                    hostname=f"{name}.test", type="QEMU", version=7_002_000, host_ip="127.0.0.1"
                ),
                inventories={
                    VCPU: Inventory(total=vcpus),
                    MEMORY_MB: Inventory(total=vcpus * 4096),
                    DISK_GB: Inventory(total=10_000),
                },
            ),
            "default",
        )

    def work(self, fail: str | None = None) -> None:
        """The host does all it was told since the last time; with ``fail``, boots fail so."""
        while self._done < len(self.bus.dispatched):
            dispatched = self.bus.dispatched[self._done]
            work = dispatched.work
            self._done += 1
            assert isinstance(work, GuestWork), work
            to: dict[str, Any] = {
                "host": dispatched.host,
                "server_id": work.server_id,
                "project_id": work.project_id,
                "generation": work.generation,
                "operation": work.operation,
            }
            report: GuestReport
            if isinstance(work, BuildGuest):
                report = (
                    ReportBootFailed(reason=fail, **to)
                    if fail
                    else ReportDomainStarted(power_state=1, **to)
                )
            elif isinstance(work, StopGuest):
                report = ReportGuestStopped(power_state=4, **to)
            elif isinstance(work, StartGuest):
                report = ReportGuestStarted(power_state=1, **to)
            elif isinstance(work, RebootGuest):
                report = ReportGuestRebooted(power_state=1, **to)
            elif isinstance(work, RemoveGuest):
                report = ReportGuestRemoved(**to)
            else:
                raise AssertionError(work)
            self.bus.send(report, work.project_id)

    def create(self, body: dict[str, Any] | None = None, **given: Any) -> falcon.testing.Result:
        """POST /servers with what must be there, at 2.104 unless told otherwise."""
        given.setdefault("version", "2.104")
        server = {"name": "vm1", "imageRef": self.image_id, "flavorRef": "m1.tiny"}
        if given["version"] not in ("2.1", "2.36"):
            server["networks"] = "none"
        return self.post("/servers", {"server": server | (body or {})}, **given)

    def boot(self, body: dict[str, Any] | None = None, **given: Any) -> str:
        """A server that runs; its id."""
        answer = self.create(body, **given)
        assert answer.status_code == 202, answer.text
        self.work()
        server_id: str = answer.json["server"]["id"]
        return server_id

    image_id = ""
    shown_id = ""


def refused(answer: falcon.testing.Result, status: int, name: str, text: str = "") -> None:
    """The answer is an error in Nova's form, with ``text`` in its message."""
    assert answer.status_code == status, answer.text
    assert list(answer.json) == [name]
    assert answer.json[name]["code"] == status
    assert text in answer.json[name]["message"], answer.json
    assert answer.headers["x-compute-request-id"].startswith("req-")


def stocked(world: World) -> World:
    """With a host, an image and a flavor."""
    world.host()
    world.flavor()
    world.image_id = world.image()
    world.bus.send(SetQuotas(project_id=PROJECT, limits=dict.fromkeys(UNLIMITED, -1)), PROJECT)
    return world

"""A host reads the secrets of its guests, and nobody else does: the real API over HTTP."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.compute.secret_store import SecretStore
from api.http.rates import RateSettings
from api.services import Services
from chronova.host_keys import HostKey, host_key
from chronova.secrets_fetch import SecretsFetch
from commands.compute.boot import BuildGuest
from commands.compute.guest import Guest
from commands.compute.secrets_request import Asked, Request, Sealed
from handlers.compute.drivers.contract import DriverError, GuestSecrets, SecretsUnavailable
from tests.api.compute.world import World, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer
from tests.parts.served_api import served


class Cloud:
    """A world with two hosts that have keys, and its API at ``url``."""

    def __init__(self, world: World, folder: Path, url: str) -> None:
        self.world = world
        self.url = url
        self.keys = {name: host_key(folder / name) for name in ("h1", "h2")}
        for name, key in self.keys.items():
            world.host(name, public_key=key.public)

    def boot(self, host: str = "h1", **given: Any) -> tuple[Guest, str]:
        """A server on that host: what its host was told, and its user data."""
        data = base64.b64encode(secrets.token_bytes(32)).decode()
        body = {"user_data": data, "config_drive": True, "availability_zone": f"nova:{host}"}
        answer = self.world.create(body | given, token="project-admin")
        assert answer.status_code == 202, answer.text
        work = self.world.bus.dispatched[-1].work
        assert isinstance(work, BuildGuest)
        self.world.work()
        return work.guest, data

    def ask(
        self, host: str, guest: Guest, key: HostKey | None = None, url: str = ""
    ) -> GuestSecrets:
        return SecretsFetch(url or self.url, {host: key or self.keys[host]})(host, guest)


@pytest.fixture(scope="module")
def cloud(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with store(database.url) as engine:
        folder = tmp_path_factory.mktemp("cloud")
        world = stocked(World.new(engine, folder))
        with served(world.client.app) as url:
            yield Cloud(world, folder / "instances", url)


def test_a_host_reads_what_its_guest_was_given(cloud: Cloud) -> None:
    guest, data = cloud.boot(adminPass="correct horse")
    assert cloud.ask("h1", guest) == GuestSecrets(user_data=data, admin_password="correct horse")
    assert "correct" not in repr(cloud.ask("h1", guest))


def test_another_host_reads_nothing(cloud: Cloud) -> None:
    """Neither by its own name, nor by the other's with its own key."""
    guest, _ = cloud.boot("h1")
    with pytest.raises(DriverError, match="is not placed on host h2"):
        cloud.ask("h2", guest)
    with pytest.raises(DriverError, match="not signed with the key of host h1"):
        cloud.ask("h1", guest, cloud.keys["h2"])


def test_a_host_reads_only_while_the_server_is_there(cloud: Cloud) -> None:
    guest, _ = cloud.boot("h1")
    older = msgspec.structs.replace(guest, generation=guest.generation - 1)
    with pytest.raises(DriverError, match="is not placed on host h1"):
        cloud.ask("h1", older)
    assert cloud.world.delete(f"/servers/{guest.server_id}", token="project-admin")
    cloud.world.work()
    with pytest.raises(DriverError, match="could not be found"):
        cloud.ask("h1", guest)


def test_other_secrets_are_not_read_through_ones_own_guest(cloud: Cloud) -> None:
    mine, _ = cloud.boot("h2")
    theirs, _ = cloud.boot("h1")
    mixed = msgspec.structs.replace(mine, secrets=theirs.secrets)
    with pytest.raises(DriverError, match="has no such secrets"):
        cloud.ask("h2", mixed)


def test_secrets_that_are_gone_say_so(cloud: Cloud) -> None:
    guest, _ = cloud.boot("h1")
    assert guest.secrets is not None
    SecretStore(cloud.world.settings.secrets_path).drop(guest.secrets.secrets_id, guest.server_id)
    with pytest.raises(DriverError, match="are gone") as raised:
        cloud.ask("h1", guest)
    assert not raised.value.transient


def test_an_unknown_host_and_an_api_that_is_away_are_tried_again(cloud: Cloud) -> None:
    guest, _ = cloud.boot("h1")
    with pytest.raises(SecretsUnavailable) as raised:
        cloud.ask("h9", guest, cloud.keys["h1"])
    assert raised.value.transient
    away = SecretsFetch("http://127.0.0.1:9", cloud.keys)
    with pytest.raises(SecretsUnavailable):
        away("h1", guest)


def posted(cloud: Cloud, body: bytes) -> Any:
    return cloud.world.client.simulate_post("/compute/v2.1/host-secrets", body=body)


def signed(cloud: Cloud, guest: Guest, change: Callable[[Asked], Asked]) -> bytes:
    assert guest.secrets is not None
    asked = Asked(
        host="h1",
        server_id=guest.server_id,
        project_id=guest.project_id,
        generation=guest.generation,
        secrets_id=guest.secrets.secrets_id,
        at=int(time.time()),
        answer_key=X25519PrivateKey.generate().public_key().public_bytes_raw(),
    )
    content = msgspec.json.encode(change(asked))
    return msgspec.json.encode(Request(asked=content, signature=cloud.keys["h1"].sign(content)))


def test_what_is_no_request(cloud: Cloud) -> None:
    guest, data = cloud.boot("h1")
    good = signed(cloud, guest, lambda asked: asked)
    answer = posted(cloud, good)
    assert answer.status_code == 200
    assert msgspec.json.decode(answer.content, type=Sealed).sealed
    assert data not in answer.text and base64.b64decode(data) not in answer.content
    old = signed(cloud, guest, lambda asked: msgspec.structs.replace(asked, at=asked.at - 3600))
    assert posted(cloud, old).status_code == 403
    key = signed(cloud, guest, lambda asked: msgspec.structs.replace(asked, answer_key=b"x" * 31))
    assert posted(cloud, key).status_code == 400
    for body in (b"", b"{}", b"[]", good[:-5], b"\xff" * 9, b"x" * 9000):
        assert posted(cloud, body).status_code in (400, 413)
    changed = msgspec.json.decode(good, type=Request)
    forged = msgspec.structs.replace(changed, asked=changed.asked.replace(b'"h1"', b'"h2"'))
    assert posted(cloud, msgspec.json.encode(forged)).status_code == 403


@pytest.mark.parametrize("name", ["host", "server_id", "project_id", "secrets_id"])
def test_a_name_that_postgres_cannot_be_asked_for(cloud: Cloud, name: str) -> None:
    """The host's name is looked up before any signature is checked: a NUL in it was a 500."""
    guest, _ = cloud.boot("h1")
    others = ("h/1", "h1\n", "h" * 201) if name == "host" else ("x" * 256,)
    for bad in ("h\0", "\0", "h1\n\0", "", *others):
        changed = partial(msgspec.structs.replace, **{name: bad})
        assert posted(cloud, signed(cloud, guest, changed)).status_code == 400


def test_a_host_asks_so_often_and_then_tries_again(cloud: Cloud) -> None:
    """Each refusal is recorded: a stolen host's were without limit, as it has no token."""
    mine, data = cloud.boot("h1")
    guest, _ = cloud.boot("h2")
    rates = RateSettings(secrets_host="2/hour")
    settings = msgspec.structs.replace(cloud.world.settings, rates=rates)
    limited = World(Services(cloud.world.bus, cloud.world.engine, settings), cloud.world.bus)
    with served(limited.client.app) as url:
        for _ in range(3):  # what others sign in its name is not counted
            with pytest.raises(DriverError, match="not signed"):
                cloud.ask("h2", guest, cloud.keys["h1"], url)
        for _ in range(2):
            with pytest.raises(DriverError, match="is not placed on host h2"):
                cloud.ask("h2", mine, url=url)
        with pytest.raises(SecretsUnavailable, match="answered 429") as raised:
            cloud.ask("h2", guest, url=url)
        assert raised.value.transient
        assert cloud.ask("h1", mine, url=url).user_data == data


def test_the_first_key_of_a_host_counts(cloud: Cloud) -> None:
    """Who can write reports cannot pass for another host by registering in its name."""
    guest, data = cloud.boot("h1")
    with pytest.raises(Exception, match="has another key"):
        cloud.world.host("h1", public_key=cloud.keys["h2"].public)
    with pytest.raises(DriverError, match="not signed"):
        cloud.ask("h1", guest, cloud.keys["h2"])
    assert cloud.ask("h1", guest).user_data == data


def test_a_host_keeps_its_key(tmp_path: Path) -> None:
    made = host_key(tmp_path / "h1")
    assert host_key(tmp_path / "h1").public == made.public != host_key(tmp_path / "h2").public
    assert (tmp_path / "h1" / "identity.key").stat().st_mode & 0o777 == 0o600

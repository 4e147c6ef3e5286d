"""What a request gives to keep: where it goes, and what becomes of it when it is refused."""

from __future__ import annotations

import base64
import secrets
import uuid
from pathlib import Path

import msgspec
import pytest

from api.bus import Actor, Refused, Unavailable
from api.compute.given_secrets import PASSWORD_CHARACTERS
from api.compute.secret_store import SecretStore
from commands.compute.create import CreateServers
from commands.compute.quota import SetQuotas
from events.bounds import OutOfBounds
from events.message import Command
from tests.api.compute.world import OTHER, PROJECT, World, refused


def last_command(world: World) -> CreateServers:
    return next(c for c in reversed(world.bus.commands) if isinstance(c, CreateServers))


def store(world: World) -> SecretStore:
    return SecretStore(world.settings.secrets_path)


def files(world: World) -> set[Path]:
    return {path for path in world.settings.secrets_path.rglob("*") if path.is_file()}


def some_data() -> str:
    return base64.b64encode(secrets.token_bytes(48)).decode()


def test_no_record_holds_what_was_given(world: World) -> None:
    data, password = some_data(), secrets.token_hex(12)
    world.boot({"user_data": data, "adminPass": password, "config_drive": True})
    ref = last_command(world).secrets
    assert ref is not None
    (server,) = last_command(world).servers
    kept = store(world).open(ref.secrets_id, server.server_id)
    assert (kept.user_data, kept.admin_password) == (data, password)
    plain = (data.encode(), base64.b64decode(data), password.encode())
    assert not any(text in record for record in world.bus.records for text in plain)
    for path in files(world):
        assert not any(text in path.read_bytes() for text in plain)


def test_an_admin_sees_user_data_while_the_server_is_there(world: World) -> None:
    data = some_data()
    server_id = world.boot({"user_data": data})
    name = "OS-EXT-SRV-ATTR:user_data"

    def shown(**given: str) -> object:
        return world.get(f"/servers/{server_id}", **given).json["server"].get(name, "hidden")

    assert shown(version="2.3", token="project-admin") == data
    assert shown(version="2.2", token="project-admin") == "hidden"
    assert shown(version="2.104") == "hidden"
    listed = world.get("/servers/detail", version="2.3", token="project-admin").json["servers"]
    assert {one["id"]: one[name] for one in listed}[server_id] == data
    ref = last_command(world).secrets
    assert ref is not None
    store(world).drop(ref.secrets_id, server_id)
    assert shown(version="2.3", token="project-admin") is None


def test_a_password_is_kept_only_where_something_reads_it(world: World) -> None:
    before = files(world)
    made = world.create().json["server"]["adminPass"]
    assert len(made) == 12 and set(made) <= set(PASSWORD_CHARACTERS)
    assert last_command(world).secrets is None
    assert files(world) == before
    world.create({"config_drive": True})
    assert last_command(world).secrets is not None
    image = world.image("mandatory", properties={"img_config_drive": "mandatory"})
    world.create({"imageRef": image})
    assert last_command(world).secrets is not None


def test_a_refused_request_leaves_nothing(world: World) -> None:
    before = files(world)
    world.bus.send(SetQuotas(project_id=OTHER, limits={"instances": 0}), OTHER)
    refused(world.create({"user_data": some_data()}, token="stranger"), 403, "forbidden")
    assert last_command(world).secrets is not None
    assert files(world) == before
    world.bus.send(SetQuotas(project_id=OTHER, limits={"instances": -1}), OTHER)


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (Refused(413, "overLimit", "too large"), False),
        (OutOfBounds("no record can hold it"), False),
        (Unavailable("too much", maybe_sent=False), False),
        (Unavailable("no decision in time"), True),
    ],
)
def test_only_what_may_still_be_decided_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, left: bool
) -> None:
    def fail(command: Command, key: str, actor: Actor | None = None) -> None:
        raise error

    before = files(world)
    with monkeypatch.context() as patched:
        patched.setattr(world.bus, "send", fail)
        assert world.create({"user_data": some_data()}).status_code >= 400
    assert (files(world) > before) is left


def test_the_same_request_again_gets_the_first_password(world: World) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    first = world.create({"user_data": "eA=="}, headers=key)
    before = files(world)
    again = world.create({"user_data": "eA=="}, headers=key)
    assert again.json == first.json
    assert files(world) == before, "what the second one gave is not kept"
    refused(world.create({"user_data": "eQ=="}, headers=key), 409, "conflictingRequest")
    assert files(world) == before
    server_id = first.json["server"]["id"]
    world.work()
    ref = last_command(world).secrets
    assert world.delete(f"/servers/{server_id}").status_code == 204
    world.work()
    for held in list(store(world).held()):
        if server_id in held.server_ids:
            store(world).drop(held.secrets_id, server_id)
    late = world.create({"user_data": "eA=="}, headers=key).json["server"]
    assert late["id"] == server_id and "adminPass" not in late
    assert ref is not None and not any(server_id in held.server_ids for held in store(world).held())


def test_a_password_is_no_part_of_the_hash_of_a_request(world: World) -> None:
    """The hash stays for ever, and who has its key could try all short passwords."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    one = world.create({"adminPass": "one"}, headers=key)
    other = world.create({"adminPass": "other"}, headers=key)
    assert other.json == one.json
    assert one.json["server"]["adminPass"] == "one"


def test_a_request_that_waited_too_long_is_refused(world: World) -> None:
    """Its secrets may have been swept: a server must not come to be without them."""
    world.create({"user_data": some_data()})
    command = last_command(world)
    late = world.bus._clock
    world.bus._clock = lambda: late() + 3_700_000_000
    try:
        with pytest.raises(Refused, match="too old"):
            world.bus.send(_of_another_id(command), PROJECT)
    finally:
        world.bus._clock = late


def _of_another_id(command: CreateServers) -> CreateServers:
    (server,) = command.servers
    other = msgspec.structs.replace(server, server_id=str(uuid.uuid4()))
    return msgspec.structs.replace(command, servers=[other])

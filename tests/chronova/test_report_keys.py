"""A host gets the key for its reports, and nobody else does: the real API over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.http.rates import RateSettings
from api.services import Services
from chronova.host_keys import HostKey, host_key
from chronova.report_keys import FILE_NAME, HostReportKeys, NotGiven, fetch
from commands.compute.report_keys_request import AskedKeys, KeysRequest
from events.host_proof import report_key
from tests.api.compute.world import World, stocked
from tests.parts.local_bus import store
from tests.parts.postgres import PostgresServer
from tests.parts.served_api import served

AWAY = "http://127.0.0.1:9"


class Cloud:
    """A world whose hosts have keys, and its API at ``url``."""

    def __init__(self, world: World, folder: Path, url: str) -> None:
        self.world = world
        self.url = url
        self.folder = folder
        self.keys = {name: host_key(folder / name) for name in ("h1", "h2")}
        for name, key in self.keys.items():
            world.host(name, public_key=key.public)

    @property
    def master(self) -> bytes:
        return self.world.settings.host_proof_key_path.read_bytes()

    def key_of(self, host: str) -> bytes:
        return report_key(self.master, host, self.keys[host].public)


@pytest.fixture(scope="module")
def cloud(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with store(database.url) as engine:
        folder = tmp_path_factory.mktemp("cloud")
        world = stocked(World.new(engine, folder))
        with served(world.client.app) as url:
            yield Cloud(world, folder / "instances", url)


def test_hosts_get_their_own_keys(cloud: Cloud) -> None:
    given = fetch(cloud.url, cloud.keys)
    assert given == {"h1": cloud.key_of("h1"), "h2": cloud.key_of("h2")}
    assert given["h1"] != given["h2"]
    assert cloud.world.settings.host_proof_key_path.stat().st_mode & 0o777 == 0o600


def test_nobody_gets_another_s(cloud: Cloud) -> None:
    """Neither alone nor beside its own."""
    stolen = cloud.keys["h2"]
    for asked in ({"h1": stolen}, {"h2": stolen, "h1": stolen}):
        with pytest.raises(NotGiven, match="403: This is not signed with the key of host h1"):
            fetch(cloud.url, asked)


def test_a_host_that_is_not_known_gets_none(cloud: Cloud, tmp_path: Path) -> None:
    stranger = host_key(tmp_path / "h9")
    with pytest.raises(NotGiven, match=r"503: .*No key of host h9"):
        fetch(cloud.url, {"h9": stranger})
    assert fetch(cloud.url, {"h9": stranger, "h1": cloud.keys["h1"]}) == {"h1": cloud.key_of("h1")}


def test_a_host_that_came_without_a_key_has_none(cloud: Cloud, tmp_path: Path) -> None:
    """Its key would be that of everybody who names it without one."""
    cloud.world.host("keyless")
    with pytest.raises(NotGiven, match="503"):
        fetch(cloud.url, {"keyless": host_key(tmp_path / "keyless")})


def signed(
    cloud: Cloud, change: Callable[[AskedKeys], AskedKeys], signatures: int | None = None
) -> bytes:
    asked = AskedKeys(
        hosts=["h1"],
        at=int(time.time()),
        answer_key=X25519PrivateKey.generate().public_key().public_bytes_raw(),
    )
    content = msgspec.json.encode(change(asked))
    count = len(change(asked).hosts) if signatures is None else signatures
    made = [cloud.keys["h1"].sign(content)] * count
    return msgspec.json.encode(KeysRequest(asked=content, signatures=made))


def posted(cloud: Cloud, body: bytes) -> Any:
    return cloud.world.client.simulate_post("/compute/v2.1/host-report-keys", body=body)


def test_what_is_no_request(cloud: Cloud) -> None:
    def changed(**fields: object) -> Callable[[AskedKeys], AskedKeys]:
        return lambda asked: msgspec.structs.replace(asked, **fields)

    good = signed(cloud, changed())
    answer = posted(cloud, good)
    assert answer.status_code == 200
    assert cloud.key_of("h1") not in answer.content
    old = signed(cloud, changed(at=int(time.time()) - 3600))
    assert posted(cloud, old).status_code == 403
    wrong: list[dict[str, object]] = [
        {"answer_key": b"x" * 31},
        {"hosts": []},
        {"hosts": ["h1", "h1"]},
        {"hosts": ["h\0"]},
        {"hosts": ["h/1"]},
        {"hosts": [f"h{n}" for n in range(101)]},
    ]
    for fields in wrong:
        assert posted(cloud, signed(cloud, changed(**fields))).status_code == 400, fields
    for count in (0, 2):
        assert posted(cloud, signed(cloud, changed(), count)).status_code == 400
    for body in (b"", b"{}", b"[]", good[:-5], b"\xff" * 9, b"x" * 70_000):
        assert posted(cloud, body).status_code in (400, 413)
    read = msgspec.json.decode(good, type=KeysRequest)
    forged = msgspec.structs.replace(read, asked=read.asked.replace(b'"h1"', b'"h2"'))
    assert posted(cloud, msgspec.json.encode(forged)).status_code == 403


def test_a_host_asks_so_often(cloud: Cloud) -> None:
    settings = msgspec.structs.replace(
        cloud.world.settings, rates=RateSettings(secrets_host="2/hour")
    )
    limited = World(Services(cloud.world.bus, cloud.world.engine, settings), cloud.world.bus)
    with served(limited.client.app) as url:
        for _ in range(2):
            fetch(url, {"h1": cloud.keys["h1"]})
        with pytest.raises(NotGiven, match="429"):
            fetch(url, {"h1": cloud.keys["h1"]})
        assert fetch(url, {"h2": cloud.keys["h2"]})


class Agent:
    """What a starting agent does for its keys."""

    def __init__(self, url: str, folder: Path, keys: Mapping[str, HostKey]) -> None:
        self.registered = 0
        self.paused = 0
        self.then: Callable[[], bool] = lambda: False
        self.keys = HostReportKeys(url, keys, lambda host: folder / host)

    def start(self) -> bool:
        return self.keys.obtain(self._register, self._pause)

    def _register(self) -> None:
        self.registered += 1

    def _pause(self, seconds: float) -> bool:
        self.paused += 1
        return self.then()


def test_a_new_host_registers_and_waits_until_it_is_known(cloud: Cloud, tmp_path: Path) -> None:
    """So do many of one agent: some are known earlier than others, none is asked for in vain."""
    keys = {name: host_key(tmp_path / name) for name in ("n1", "n2", "n3")}
    agent, waiting = Agent(cloud.url, tmp_path, keys), list(keys)

    def shown() -> bool:
        name = waiting.pop(0)
        cloud.world.host(name, public_key=keys[name].public)
        return False

    agent.then = shown
    assert agent.start()
    assert agent.registered == 1 and waiting == []
    assert agent.keys.known == {n: report_key(cloud.master, n, k.public) for n, k in keys.items()}
    for name in keys:
        assert (tmp_path / name / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_more_hosts_than_fit_in_a_request(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronova.report_keys.HOSTS_MAX", 1)
    agent = Agent(cloud.url, cloud.folder, cloud.keys)
    assert agent.start()
    assert agent.keys.known.keys() == cloud.keys.keys()


def test_a_host_that_has_its_key_needs_no_api(cloud: Cloud) -> None:
    assert Agent(cloud.url, cloud.folder, cloud.keys).start()
    again = Agent(AWAY, cloud.folder, cloud.keys)
    assert again.start() and (again.registered, again.paused) == (0, 0)
    assert again.keys.known == {host: cloud.key_of(host) for host in cloud.keys}


def test_a_host_that_ends_meanwhile_has_none(tmp_path: Path) -> None:
    agent = Agent(AWAY, tmp_path, {"h1": host_key(tmp_path / "h1")})
    agent.then = lambda: True
    assert not agent.start()
    assert agent.keys.known == {}


def test_what_another_machine_of_that_name_was_given_is_not_used(
    cloud: Cloud, tmp_path: Path
) -> None:
    keys = {"h1": host_key(tmp_path / "h1")}
    given = bytes.fromhex(cloud.keys["h1"].public) + cloud.key_of("h1")
    (tmp_path / "h1" / FILE_NAME).write_bytes(given)
    agent = Agent(AWAY, tmp_path, keys)
    agent.then = lambda: True
    assert not agent.start()


def test_a_site_with_another_master_key_gives_another(cloud: Cloud) -> None:
    """A kept key does not outlive the one that it was derived from."""
    (cloud.folder / "h1" / FILE_NAME).write_bytes(
        bytes.fromhex(cloud.keys["h1"].public) + b"x" * 32
    )
    agent = Agent(cloud.url, cloud.folder, {"h1": cloud.keys["h1"]})
    assert agent.start()
    assert agent.keys.known == {"h1": cloud.key_of("h1")}
    kept = (cloud.folder / "h1" / FILE_NAME).read_bytes()
    assert kept.endswith(cloud.key_of("h1"))

"""Flavors and key pairs as rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import commands.compute  # noqa: F401 - takes part
from commands.compute.flavor import CreateFlavor, DeleteFlavor, SetExtraSpecs
from commands.compute.key_pair import DeleteKeyPair, ImportKeyPair
from events.compute.flavor import KEY
from projections.compute.flavors import find_flavor, usable_by
from projections.compute.key_pairs import find_key_pair
from tests.parts.local_bus import LocalBus, store
from tests.parts.postgres import PostgresServer


@pytest.fixture
def bus(database: PostgresServer) -> Iterator[LocalBus]:
    with store(database.url) as engine:
        yield LocalBus(engine)


def create(bus: LocalBus, **given: object) -> None:
    values = {"flavor_id": "1", "name": "m1", "vcpus": 1, "ram_mib": 1, "root_gib": 1} | given
    bus.send(CreateFlavor(**values), KEY)  # type: ignore[arg-type]


def test_a_flavor(bus: LocalBus) -> None:
    create(bus, is_public=False, project_ids=["p1"])
    bus.send(SetExtraSpecs(flavor_id="1", extra_specs={"hw:cpu_policy": "shared"}), KEY)
    flavor = find_flavor(bus.engine, "1")
    assert flavor is not None
    assert flavor.flavor.extra_specs == {"hw:cpu_policy": "shared"}
    assert usable_by(flavor, "p1")
    assert not usable_by(flavor, "p2")
    assert usable_by(flavor, "p2", admin=True)


def test_a_deleted_flavor_is_not_found_until_its_id_is_used_again(bus: LocalBus) -> None:
    create(bus)
    bus.send(DeleteFlavor(flavor_id="1"), KEY)
    assert find_flavor(bus.engine, "1") is None
    create(bus, name="again")
    found = find_flavor(bus.engine, "1")
    assert found is not None
    assert found.flavor.name == "again"


def test_a_key_pair(bus: LocalBus) -> None:
    command = ImportKeyPair(
        user_id="u1", name="k", type="ssh", public_key="ssh-rsa AAAA", fingerprint="00"
    )
    bus.send(command, "u1")
    found = find_key_pair(bus.engine, "u1", "k")
    assert found is not None
    assert found.public_key == "ssh-rsa AAAA"
    assert find_key_pair(bus.engine, "u2", "k") is None
    bus.send(DeleteKeyPair(user_id="u1", name="k", key_pair_id="u1/k"), "u1")
    assert find_key_pair(bus.engine, "u1", "k") is None

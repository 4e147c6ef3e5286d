"""Two versions side by side, there and back, then there for good: what docs/operations.md promises
of upgrades."""

from __future__ import annotations

import socket

import pytest

from tests.bench.sites import site
from tests.chaos.rounds import prepare
from tests.chaos.upgrade import drill
from tests.chaos.versions import Version, tomorrow
from tests.chaos.victim import Victim

SECONDS = 10.0


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return tomorrow(tmp_path_factory.mktemp("versions") / "tomorrow")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("log", ["postgres", "kafka"])
def test_roles_of_two_versions_in_any_order(log: str, newer: Version) -> None:
    """On a site of its own, which is the newer version's afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with site(log, port=port) as running:
        prepare(running)
        assert drill(Victim(running), newer, SECONDS, seed=1) == []

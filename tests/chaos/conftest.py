"""Sites for the short form: one on each log, brought up once and forgotten at the end.

They run on the embedded Postgres and the development broker, whose processes may be killed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.bench.sites import Site, site
from tests.chaos.rounds import clear, prepare
from tests.chaos.victim import Victim

AWAY_S = 7.0
"""Longer than a session lasts (6 s)."""


@pytest.fixture(scope="session", params=["postgres", "kafka"])
def running(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site that is up, with ten simulated hosts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with site(request.param, port=port) as made:
        prepare(made)
        yield made


@pytest.fixture
def victim(running: Site) -> Victim:
    """The site's processes; servers that other tests left are gone."""
    clear(running)
    return Victim(running, AWAY_S)

"""A disk that fills up under all that a site keeps: log, tables, images, guests, journals."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chronova.client import ClientError
from tests.bench.sites import Site
from tests.chaos.check import check
from tests.chaos.history.run import fill_up
from tests.chaos.load import Load
from tests.chaos.rounds import prepare
from tests.chaos.small_disk import NO_ROOM_KEPT, NoSmallDisk, small_disk
from tests.chaos.victim import Victim, wait_until

SIZE_MIB = 300
REFUSED_MIN = {"postgres": 20, "kafka": 3}
REFUSED_S = 120
"""On Kafka a request waits half a minute for a broker that cannot write before it is refused."""
LIMIT_S = 60

pytestmark = pytest.mark.service


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of its own with little room."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(small_disk(SIZE_MIB))
        except NoSmallDisk as error:
            pytest.skip(str(error))


@pytest.fixture(params=["postgres", "kafka"])
def cramped(disk: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site on that disk, its broker too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    data = disk / "site"
    up = ("up", "--log", request.param, "--driver", "simulated", "--hosts", "2")
    try:
        _chronova(data, *up, "--port", str(port))
        yield Site(data)
    finally:
        _chronova(data, "reset")


def test_a_full_disk_is_survived(cramped: Site, disk: Path) -> None:
    prepare(cramped)
    victim = Victim(cramped)
    before = {role: victim.process(role).pid for role in ("decider", "projector", "agent", "api")}
    fill = disk / "fill"
    # What is in the log shows when there is room for the tables again.
    with Load(cramped, rate=8.0, seed=5, invisible_s=3 * LIMIT_S) as load:
        wait_until(lambda: load.acknowledged() > 5, LIMIT_S, "some load")
        fill_up(fill)
        refused = load.ledger.counts["503"]
        enough = REFUSED_MIN["kafka" if victim.on_kafka else "postgres"]

        def many_refused() -> bool:
            fill_up(fill)  # also what is given back meanwhile
            return load.ledger.counts["503"] > refused + enough

        wait_until(many_refused, REFUSED_S, "requests are refused for now")
        _upload_is_refused(cramped)
        fill.unlink()
        load.progress(load.acknowledged(), LIMIT_S)
    assert check(cramped, load.ledger) == []
    assert {role: victim.process(role).pid for role in before} == before


def _upload_is_refused(site: Site) -> None:
    client = site.client()
    image = client.call("GET", "/image/v2/images?name=demo")["images"][0]
    content = site.data / "logs" / "api.log"
    with pytest.raises(ClientError) as refused:
        wanted = {"name": "large", "disk_format": "raw", "container_format": "bare"}
        made = client.call("POST", "/image/v2/images", wanted)
        client.upload(f"/image/v2/images/{made['id']}/file", content)
    # 404: the log had room for the image's record, the tables have none yet to show it.
    assert refused.value.status in (404, 413, 503), (refused.value, image)


def _chronova(data: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "chronova", "--data", str(data), *arguments]
    environment = {**os.environ, **NO_ROOM_KEPT}
    subprocess.run(command, check=True, capture_output=True, timeout=200, env=environment)

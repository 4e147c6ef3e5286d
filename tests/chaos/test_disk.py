"""A disk that fills up under all that a site keeps: log, tables, images, guests, journals."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronova.client import ClientError
from tests.bench.sites import Site
from tests.chaos.check import check
from tests.chaos.load import Load
from tests.chaos.rounds import prepare
from tests.chaos.victim import Victim, wait_until

SIZE_MIB = 300
REFUSED_MIN = {"postgres": 20, "kafka": 3}
REFUSED_S = 120
"""On Kafka a request waits half a minute for a broker that cannot write before it is refused."""
LIMIT_S = 60

pytestmark = pytest.mark.service


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own with little room."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root and mount(8)")
    folder = Path(tempfile.mkdtemp(prefix="chronova-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=711", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True, timeout=30)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)
        folder.rmdir()


@pytest.fixture(params=["postgres", "kafka"])
def cramped(small_disk: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site on that disk, its broker too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    data = small_disk / "site"
    up = ("up", "--log", request.param, "--driver", "simulated", "--hosts", "2")
    _chronova(data, *up, "--port", str(port))
    try:
        yield Site(data)
    finally:
        _chronova(data, "reset")


def test_a_full_disk_is_survived(cramped: Site, small_disk: Path) -> None:
    prepare(cramped)
    victim = Victim(cramped)
    before = {role: victim.process(role).pid for role in ("decider", "projector", "agent", "api")}
    fill = small_disk / "fill"
    # What is in the log shows when there is room for the tables again.
    with Load(cramped, rate=8.0, seed=5, invisible_s=3 * LIMIT_S) as load:
        wait_until(lambda: load.acknowledged() > 5, LIMIT_S, "some load")
        _fill(fill)
        refused = load.ledger.counts["503"]
        enough = REFUSED_MIN["kafka" if victim.on_kafka else "postgres"]

        def many_refused() -> bool:
            _fill(fill)  # also what is given back meanwhile
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
    assert refused.value.status in (413, 503), (refused.value, image)


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


def _chronova(data: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "chronova", "--data", str(data), *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=200)

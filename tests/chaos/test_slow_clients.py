"""Two hundred slow clients at once, of each kind and of all kinds: others are served meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.slow import COUNT, beginnings, percentile, slow_clients, timed
from tests.chaos.victim import Victim, frozen

READ_S_MAX = 0.1
"""99 of 100 reads take no longer, or no more than twice what they take without slow clients: a
machine that is busy with other things is slow anyway."""
HEALTH_S_MAX = 1.0
READS = 400
HEALTH_LOOKS = 20
IMAGE_MIB = 16
PATH = "/compute/v2.1/servers/detail"
KINDS = sorted(beginnings("", ""))


@pytest.fixture
def image(victim: Victim, tmp_path: Path) -> Iterator[str]:
    """An image that no buffer between here and there holds."""
    if victim.on_kafka:
        pytest.skip("the way in is the same on both logs")
    client = victim.site.client("demo")
    wanted = {"name": "slow", "disk_format": "raw", "container_format": "bare"}
    made = str(client.call("POST", "/image/v2/images", wanted)["id"])
    content = tmp_path / "content"
    content.write_bytes(b"x" * (IMAGE_MIB << 20))
    client.upload(f"/image/v2/images/{made}/file", content)
    yield made
    client.call("DELETE", f"/image/v2/images/{made}")


@pytest.mark.parametrize("kind", [*KINDS, "all kinds"])
def test_others_are_served_meanwhile(victim: Victim, image: str, kind: str) -> None:
    address = ("127.0.0.1", victim.site.settings.port)
    found = beginnings(victim.site.client("demo").token, image)
    chosen = list(found.values()) if kind == "all kinds" else [found[kind]]
    requests = (chosen * COUNT)[:COUNT]
    token = victim.site.client().token
    quiet_s = percentile(timed(address, PATH, token, READS), 0.99)
    with slow_clients(address, requests):
        read_s = percentile(timed(address, PATH, token, READS), 0.99)
        health_s = timed(address, "/healthz", "", HEALTH_LOOKS)[-1]
    print(f"\n{kind}: p99 {read_s * 1e3:.1f} ms (else {quiet_s * 1e3:.1f}), {health_s:.3f} s")
    assert read_s <= max(READ_S_MAX, 2 * quiet_s)
    assert health_s <= HEALTH_S_MAX


def test_others_are_served_while_writes_wait_for_a_decision(victim: Victim) -> None:
    """A frozen decider keeps all who write waiting: none of them holds a reader's thread."""
    address = ("127.0.0.1", victim.site.settings.port)
    token = victim.site.client().token
    write = writing(victim.site.client("demo").token)
    quiet_s = percentile(timed(address, PATH, token, READS), 0.99)
    with frozen([victim.process("decider")]), slow_clients(address, [write] * COUNT):
        read_s = percentile(timed(address, PATH, token, READS), 0.99)
        health_s = timed(address, "/healthz", "", 1, statuses=(200, 503))[-1]
    print(f"\nwrites: p99 {read_s * 1e3:.1f} ms (else {quiet_s * 1e3:.1f}), {health_s:.3f} s")
    assert read_s <= max(READ_S_MAX, 2 * quiet_s)
    assert health_s <= HEALTH_S_MAX


def writing(token: str) -> bytes:
    """A whole request that a decider has to decide."""
    body = b'{"keypair": {"name": "waits"}}'
    head = (
        "POST /compute/v2.1/os-keypairs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-Auth-Token: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

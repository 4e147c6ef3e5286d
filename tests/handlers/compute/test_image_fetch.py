"""A fetch that takes long: it reports progress, and a delete never waits for it."""

from __future__ import annotations

import threading
from pathlib import Path

from commands.compute.progress import ReportProgress
from handlers.compute.image_fetch import Transfer
from handlers.performer.pool import DaemonPool
from tests.handlers.compute.drivers.rigs import until
from tests.handlers.compute.hosts import IMAGE, Host, build, remove

LIMIT_S = 20


class SlowStore:
    """Gives an image only when it is let; a fetch that is called off ends."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.called_off = False
        self.fetches = 0

    def __call__(self, checksum: str, path: Path, transfer: Transfer) -> None:
        self.fetches += 1
        self.begun.set()
        transfer.on_called_off(self.may_end.set)
        assert self.may_end.wait(LIMIT_S)
        transfer.moved(len(IMAGE), len(IMAGE))
        path.write_bytes(IMAGE)


def fetching() -> tuple[Host, SlowStore]:
    host, store = Host(), SlowStore()
    host.pool, host.fetch = DaemonPool(4, "test"), store
    host.tell(build())
    host.start().step(0.0)
    assert store.begun.wait(LIMIT_S)
    return host, store


def stepped(host: Host, report: str) -> None:
    """Step until the host has reported this."""

    def is_there() -> bool:
        assert host.agent is not None
        host.agent.step(0.0)
        return report in host.reported()

    until(is_there, LIMIT_S, report)


def test_a_delete_does_not_wait_for_a_fetch() -> None:
    host, store = fetching()
    host.tell(remove(2))
    stepped(host, "ReportGuestRemoved")
    assert store.may_end.is_set(), "the fetch was called off"
    assert host.outcomes[:2] == [("BuildGuest", "superseded"), ("RemoveGuest", "done")]


def test_a_delete_does_not_wait_for_another_server_s_fetch_of_the_same_image() -> None:
    import msgspec

    host, store = fetching()
    other = "00000000-0000-4000-8000-000000000002"
    second = build()
    guest = msgspec.structs.replace(second.guest, server_id=other)
    host.tell(msgspec.structs.replace(second, server_id=other, guest=guest))
    host.tell(msgspec.structs.replace(remove(2), server_id=other))
    stepped(host, "ReportGuestRemoved")
    assert not store.may_end.is_set(), "the first one is still fetching"
    store.may_end.set()
    stepped(host, "ReportDomainStarted")
    assert store.fetches == 1


def test_a_slow_fetch_says_how_far_it_is() -> None:
    host = Host()

    def slow(checksum: str, path: Path, transfer: Transfer) -> None:
        for done in range(0, len(IMAGE) + 1, 2):
            host.now += 10_000_000
            transfer.moved(done, len(IMAGE))
        path.write_bytes(IMAGE)

    host.fetch = slow
    host.tell(build())
    host.settle()
    said = [report for _, report in host.reports() if isinstance(report, ReportProgress)]
    assert [report.bytes_done for report in said] == [2, 6]
    assert {report.bytes_total for report in said} == {len(IMAGE)}
    assert "ReportDomainStarted" in host.reported()

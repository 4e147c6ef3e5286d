"""A long backlog whose owners are killed while they work it off: everything happens once.

The deciders are processes; each kills itself (SIGKILL) at the place that it was given, and the next
one takes its partitions over. The hosts are simulated, here in the test; once their agent forgets
what it has read.
``CHRONOVA_BACKLOG``: how many commands (``make backlog``: 100,000).
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from chronova.domains import load_handlers
from events import topics
from events.log.contract import Log, Outgoing
from events.log.records import Codec, headers
from events.message import Context
from handlers.compute.agent import Agent
from handlers.compute.drivers.contract import PowerState
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.compute.image_fetch import Transfer
from handlers.decider import Decider, wall_clock
from handlers.decider.owned import BATCH_MAX
from handlers.decider.partition import Partition
from tests.chaos.backlog import HOSTS, Backlog, Counts, violations
from tests.chaos.backlog_owner import NOWHERE, PLACES
from tests.commands.fleet.fleet import register
from tests.events.log.site import KafkaSite, PostgresSite, ServedSite
from tests.parts.broker import kafka_broker
from tests.parts.postgres import postgres_server

pytestmark = [
    pytest.mark.long,
    pytest.mark.service,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

COUNT = int(os.environ.get("CHRONOVA_BACKLOG", "3000"))
ROUNDS = (
    # One process decides all, or each domain has its own: the one that dies is the first.
    (("compute,fleet",), PLACES[0]),
    (("compute", "fleet"), PLACES[3]),
    (("compute", "fleet"), PLACES[2]),
    (("compute,fleet",), PLACES[1]),
    (("fleet", "compute"), PLACES[0]),
    (("fleet,compute",), PLACES[2]),
    (("compute,fleet",), PLACES[2]),
)
"""In the last ones a short backlog may be worked off before its owner comes to its place."""
AGENT_RESTARTS_AT = 4
"""Before this round."""

SILENT_S = 60.0
"""For so long nothing may happen before it is called stuck."""

IMAGE = b"an image"
CODEC = Codec()


@pytest.fixture(params=["postgres", "kafka"])
def site(request: pytest.FixtureRequest) -> Iterator[ServedSite]:
    """A log of its own, with one partition of everything: the topics' names are those of a site."""
    with ExitStack() as stack:
        made: ServedSite
        if request.param == "postgres":
            made = PostgresSite(stack.enter_context(postgres_server()))
        else:
            made = KafkaSite(stack.enter_context(kafka_broker()))
            made.options = {"session_timeout_s": 1.5, "heartbeat_s": 0.3}
        stack.enter_context(closing(made))
        made.log.create_topics(topics.all_topics(1))
        yield made


class Hosts:
    """Simulated hosts under one agent."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.drivers = {host: SimulatedDriver(host) for host in HOSTS}
        self._agent = self._started()
        for host in HOSTS:
            asked = register(host, vcpus=1_000_000, ram_mib=1 << 30, disk_gib=1 << 30)
            made = headers(Context(id=f"of-{host}", time=wall_clock()), asked.type_name, "/test")
            log.append([Outgoing(topics.reports("fleet"), host, CODEC.encode(asked), made, 0)])

    def _started(self) -> Agent:
        return Agent(
            self._log,
            HOSTS[0],
            self.drivers,
            _fetch,
            threads=0,
            clock=wall_clock,
            pause=threading.Event().wait,
        )

    def restart(self) -> None:
        """Another agent, which has lost what the one before had read: all work comes once more."""
        self._agent.close()
        self._agent = self._started()

    def work(self) -> int:
        """Do what there is to do; how many records that were."""
        return self._agent.step(0.05)

    def starts(self) -> dict[str, int]:
        """How often each guest was started, by its server's id."""
        found: dict[str, int] = {}
        for driver in self.drivers.values():
            for id, guest in driver.hypervisor.guests.items():
                assert guest.state is PowerState.RUNNING
                found[id] = found.get(id, 0) + guest.boots
        return found

    def close(self) -> None:
        self._agent.close()


class Watch:
    """Follows compute's journal; says whether servers are at rest."""

    def __init__(self, log: Log) -> None:
        self._partition = Partition("compute", 0, CODEC)
        self._reader = log.reader({(topics.events("compute"), 0): 0})

    def look(self) -> bool:
        """Fold what has come; whether there was anything."""
        records = self._reader.poll(0.0, 5000)
        for record in records:
            self._partition.fold(record)
        self._partition.undelivered.clear()
        return bool(records)

    def at_rest(self, servers: int, taken: int) -> bool:
        """Whether the commands up to offset ``taken`` are, and so many servers run."""
        if self._partition.marks.inputs.get(topics.commands("compute"), 0) < taken:
            return False
        states = self._partition.states["server"].values()
        return len(states) == servers and all(
            (one.vm_state, one.task_state) == ("active", None) for one in states
        )

    def close(self) -> None:
        self._reader.close()


class Play:
    """The owners' processes one after the other, and hosts that work meanwhile."""

    def __init__(self, site: ServedSite, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.hosts = Hosts(site.log)
        self.watch = Watch(site.log)

    @contextmanager
    def owners(
        self, domains: Sequence[str], place: str = NOWHERE, after: int = 0
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Deciders, the first of which dies at ``place``; all are gone afterwards."""
        said = self.folder / "owners.log"
        with said.open("ab") as output:
            command = [sys.executable, "-m", "tests.chaos.backlog_owner", *self.site.arguments()]
            started = [
                subprocess.Popen(
                    [*command, each, str(self.folder), place if n == 0 else NOWHERE, str(after)],
                    stdout=output,
                    stderr=output,
                )
                for n, each in enumerate(domains)
            ]
        try:
            yield started[0]
        finally:
            for process in started:
                process.kill()
                process.wait(10)

    def until(self, owner: subprocess.Popen[bytes], rests: tuple[int, int]) -> bool:
        """Let the hosts work until the owner has died, or until ``Watch.at_rest(*rests)``; whether
        it has died."""
        moved_at = time.monotonic()
        while owner.poll() is None:
            if self.hosts.work() + self.watch.look():
                moved_at = time.monotonic()
            elif self.watch.at_rest(*rests):
                return False
            assert time.monotonic() - moved_at < SILENT_S, self.said()
        assert owner.returncode == -signal.SIGKILL, self.said()
        return True

    def said(self) -> str:
        """The last that owners have logged."""
        return (self.folder / "owners.log").read_text()[-4000:]

    def close(self) -> None:
        self.hosts.close()
        self.watch.close()


def test_a_backlog_is_decided_once_whoever_is_killed(site: ServedSite, tmp_path: Path) -> None:
    load_handlers()
    backlog = Backlog(COUNT, hashlib.sha512(IMAGE).hexdigest())
    before = sum(map(len, backlog.present.values()))
    with closing(Play(site, tmp_path)) as play:
        with play.owners(["compute,fleet"]) as owner:
            _until_registered(site.log)
            backlog.prepare(site.log)
            assert not play.until(owner, (before, 1)), play.said()
        backlog.send(site.log)
        end = site.log.ends([(topics.commands("compute"), 0)])[topics.commands("compute"), 0]
        began = time.monotonic()
        killed_at = []
        after = max(2, COUNT // BATCH_MAX // (2 * len(ROUNDS)))
        for number, (domains, place) in enumerate(ROUNDS):
            if number == AGENT_RESTARTS_AT:
                play.hosts.restart()
            with play.owners(domains, place, after) as owner:
                if play.until(owner, (2 * before, end)):
                    killed_at.append(place)
        assert set(killed_at) == set(PLACES)
        with play.owners(["compute,fleet"]) as owner:
            assert not play.until(owner, (2 * before, end)), play.said()
            owner.send_signal(signal.SIGTERM)
            assert owner.wait(30) == 0, play.said()
        took_s = time.monotonic() - began
        events = _ends(site.log)
        _take_over(site.log, tmp_path)
        while play.hosts.work():
            continue
        counts = Counts(site.log)
        assert violations(backlog, counts, play.hosts.starts())[:20] == []
    assert counts.repeated, "no order was delivered twice: the kills proved nothing"
    said = sum(one.total() for one in counts.answers.values())
    print(
        f"\n{COUNT} commands, {len(killed_at)} kills, {took_s:.0f} s: {events};"
        f" {said} answers, {counts.repeated} orders delivered once more"
    )


def _until_registered(log: Log) -> None:
    """Wait until the hosts are known: servers that are asked for before find none."""
    fleet, end = Partition("fleet", 0, CODEC), time.monotonic() + SILENT_S
    with closing(log.reader({(topics.events("fleet"), 0): 0})) as reader:
        while len(fleet.states["host"]) < len(HOSTS):
            assert time.monotonic() < end, "no host was registered"
            for record in reader.poll(0.1, 5000):
                fleet.fold(record)


def _ends(log: Log) -> dict[str, int]:
    sources = [(topics.events(domain), 0) for domain in ("compute", "fleet")]
    return {topic: end for (topic, _), end in log.ends(sources).items()}


def _take_over(log: Log, snapshots: Path) -> None:
    """Once more a new owner: it finds nothing to decide, and delivers again what it must."""
    decider = Decider(log, ["compute", "fleet"], snapshots=snapshots, threaded=False)
    try:
        end = time.monotonic() + SILENT_S
        while any(
            decider.states(d, 0, k) is None for d, k in (("compute", "server"), ("fleet", "host"))
        ):
            decider.step(0.1)
            assert time.monotonic() < end, "no takeover"
        for _ in range(20):
            decider.step(0.1)
    finally:
        decider.close()


def _fetch(checksum: str, path: Path, transfer: Transfer) -> None:
    transfer.moved(0, len(IMAGE))
    path.write_bytes(IMAGE)

"""What a boot and a stop cost, exactly: records, transactions, statements, wake-ups.

All parts are the real ones on a real Postgres, each stepped in turn as its news arrive, so that
every batch is as small as it can be: under load they grow and all of this is shared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chronova.domains import load_handlers
from commands.compute.power import StopServer
from commands.fleet.place import PlaceServers
from events import topics
from events.compute.server import ImageSnapshot
from events.log import postgres_listener
from events.log.contract import Outgoing
from events.log.postgres import PostgresLog
from events.log.records import Codec, headers
from events.message import Command, Context
from handlers.compute.agent import Agent
from handlers.compute.drivers.simulated import SimulatedDriver
from handlers.decider import Decider, wall_clock
from projections.connection import Connection
from projections.follower import Follower
from tests.commands.compute.servers import P, S, create
from tests.commands.fleet.fleet import register
from tests.projections.counting import CountingConnection
from tests.projections.tables import follower, new_build, rows

HOST = "host-1"
DATA = b"an image"
ARRIVES_S = 10.0
QUIET_S = 0.2
IMAGE = ImageSnapshot(
    image_id="image",
    name="demo",
    checksum=hashlib.sha512(DATA).hexdigest(),
    size_bytes=len(DATA),
    disk_format="raw",
)


class Cloud:
    """A decider, an agent of one host and a projector, without the processes around them."""

    def __init__(self, log: PostgresLog, one: Follower) -> None:
        self.log = log
        self.follower = one
        self.statements: Counter[str] = Counter()
        self._codec = Codec()
        self._asked = 0
        self.decider = Decider(log, ["compute", "fleet"], threaded=False)
        self.agent = Agent(
            log,
            HOST,
            {HOST: SimulatedDriver(HOST)},
            lambda checksum, path, transfer: _fetch(path),
            threads=0,
            clock=wall_clock,
            pause=lambda seconds: None,
        )
        self.steps: dict[str, Callable[[float], int]] = {
            "decider": self.decider.step,
            "agent": self.agent.step,
            "projector": one.step,
        }

    def ask(self, command: Command, key: str) -> None:
        self._asked += 1
        context = Context(
            id=f"command-{self._asked}",
            time=wall_clock(),
            request_id=f"req-{self._asked}",
            user_id="user",
            project_id=P,
            reply_to="0",
        )
        made = headers(context, command.type_name, "/test")
        topic = topics.commands(command.type_domain)
        self.log.append([Outgoing(topic, key, self._codec.encode(command), made)])

    def woken(self, *roles: str) -> None:
        """Each role in turn is woken by what the one before wrote, and does something."""
        for role in roles:
            assert self.steps[role](ARRIVES_S) > 0, f"{role} was woken for nothing"

    def settle(self) -> None:
        """Let everybody do what is left."""
        while sum(step(QUIET_S) for step in self.steps.values()):
            pass

    def quiet(self) -> bool:
        """Whether nobody has anything to do."""
        return not any(step(QUIET_S) for step in self.steps.values())


def _fetch(path: Path) -> None:
    path.write_bytes(DATA)


@pytest.fixture
def cloud(
    log: PostgresLog, url: str, control: Connection, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """At rest, with a host; its image is there already."""
    # The look for lost notifications once a second would be counted now and then.
    monkeypatch.setattr(postgres_listener, "REFRESH_S", 3600.0)
    load_handlers()
    one = follower(log, url, new_build(control, log), live=True, factory=CountingConnection)
    made = Cloud(log, one)
    while made.decider.states("fleet", 0, "host") is None:
        made.decider.step(QUIET_S)
    made.ask(register(HOST), PlaceServers.type_domain)
    made.settle()
    made.ask(create("warm", image=IMAGE, reservation_id="r-0"), P)
    made.settle()
    assert rows(control, "SELECT vm_state FROM projection_1.servers") == [("active",)]
    run = log._pool.run

    def counted(statement: str, timeout_s: float) -> Any:
        made.statements[statement.partition("(")[0]] += 1
        return run(statement, timeout_s)

    monkeypatch.setattr(log._pool, "run", counted)
    one.connection.sent.clear()
    yield made
    made.agent.close()
    made.decider.close()
    one.close()


def records(control: Connection, request_id: str) -> dict[str, list[str]]:
    """The types of a request's records by topic, in order."""
    found: dict[str, list[str]] = {}
    for topic, text in rows(
        control,
        "SELECT t.name, r.headers FROM log.record r JOIN log.partition p ON p.id = r.part"
        " JOIN log.topic t ON t.id = p.topic_id WHERE r.headers LIKE %s"
        ' ORDER BY r."timestamp", r.part, r."offset"',
        f"%{request_id}%",
    ):
        lines = text.split("\n")
        made = dict(zip(lines[::2], lines[1::2], strict=True))
        kind = made["ce_type"].removeprefix("chronova.").partition(".")[2]
        found.setdefault(topic, []).append(kind)
    return found


def test_what_a_boot_costs(cloud: Cloud, control: Connection) -> None:
    cloud.ask(create(S, image=IMAGE, reservation_id="r-1"), P)
    cloud.woken("decider", "projector", "agent", "decider", "projector")
    assert rows(control, "SELECT vm_state FROM projection_1.servers WHERE id = %s", S) == [
        ("active",)
    ]
    assert records(control, "req-3") == {
        "compute.commands": ["CreateServers"],
        "compute.reports": ["ReportImageFetched", "ReportDisksCreated", "ReportDomainStarted"],
        "compute.events": [
            "ServerCreated",
            "ServersRequested",
            "HostSelected",
            "ImageFetched",
            "DisksCreated",
            "DomainStarted",
        ],
        "fleet.events": ["AllocationClaimed"],
        "compute.dispatch.host-1": ["BuildGuest"],
        "replies": ["Reply"],
    }
    # The request; three decisions, each an append to one journal (compute, fleet, compute); answer
    # and work together; the host's reports; their decision. Nothing is read back.
    assert cloud.statements == {"SELECT log.write": 7}
    sent = cloud.follower.connection.sent
    looks = [text for text in sent if text.startswith("SELECT")]
    assert len(looks) == 1 and "FROM allocations" in looks[0]
    assert len(sent) == 2 + 1, "one round trip for each batch of events"
    assert len(cloud.follower.connection.statements()) == 19
    assert cloud.quiet()


def test_what_a_stop_costs(cloud: Cloud, control: Connection) -> None:
    cloud.ask(StopServer(server_id="warm"), P)
    cloud.woken("decider", "projector", "agent", "decider", "projector")
    assert records(control, "req-3") == {
        "compute.commands": ["StopServer"],
        "compute.reports": ["ReportGuestStopped"],
        "compute.events": ["StopRequested", "ServerStopped"],
        "compute.dispatch.host-1": ["StopGuest"],
        "replies": ["Reply"],
    }
    # The request, its decision, answer and work, the host's report, its decision.
    assert cloud.statements == {"SELECT log.write": 5}
    assert len(cloud.follower.connection.sent) == 2
    assert len(cloud.follower.connection.statements()) == 15
    assert cloud.quiet()

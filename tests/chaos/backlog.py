"""A backlog for one partition of compute, and what must hold once it is worked off.

It is made of servers to be created, hard reboots of servers that are there, flavors, some of them
refused, and some commands that their senders send twice. Nothing is said about it by a decider:
all is counted in the log, and at the hosts.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from random import Random

import msgspec

from commands.compute.boot import BuildGuest
from commands.compute.flavor import CreateFlavor
from commands.compute.reboot import RebootGuest, RebootServer
from events import topics
from events.compute.flavor import FlavorCreated
from events.compute.server import facts as f
from events.fleet.allocation import AllocationClaimed
from events.journal import Marked
from events.log.contract import Log, Outgoing, Record
from events.log.records import Codec, headers
from events.log.terms import Terms, is_control
from events.message import Command, Context, Event, Message
from events.outcome import Reply
from handlers.decider.marks import Marks, marks_of, origin_of
from tests.commands.compute.servers import IMAGE as ANY_IMAGE
from tests.commands.compute.servers import create
from tests.handlers.decider.site import flavor

CODEC = Codec()
HOSTS = ("host-1", "host-2")
SERVERS_EACH = 5
"""Of a project before the backlog, and as many by the backlog: its quota is full then."""

REFUSED_EVERY, TWICE_EVERY = 10, 20
"""Every tenth flavor exists already; every twentieth command is sent once more, ``LATER`` on."""

LATER = 50
APPENDED = 2000
"""Commands in one append."""

COMMANDS = topics.commands("compute")


class Backlog:
    """``count`` commands; a fifth are new servers, a fifth hard reboots. ``checksum``: the SHA-512
    of the image that hosts fetch."""

    def __init__(self, count: int, checksum: str) -> None:
        self._image = msgspec.structs.replace(ANY_IMAGE, checksum=checksum)
        projects = [f"project-{n}" for n in range(count // (5 * SERVERS_EACH))]
        self.present = {project: _ids() for project in projects}
        """Servers that are there before, by project."""
        self.made = {project: _ids() for project in projects}
        """Those that the backlog makes."""
        flavors = [f"flavor-{n}" for n in range(count - 2 * SERVERS_EACH * len(projects))]
        self.refused: set[str] = set()
        """The ids of commands that are to be refused."""
        self.commands: dict[str, Command] = {}
        """The backlog by the commands' ids, in order."""
        seen: set[str] = set()
        for command in _mixed(self._boots(), self._reboots(), self._flavors(flavors)):
            id = f"backlog-{len(self.commands)}"
            self.commands[id] = command
            if isinstance(command, CreateFlavor):
                if command.flavor_id in seen:
                    self.refused.add(id)
                seen.add(command.flavor_id)

    def prepare(self, log: Log) -> None:
        """Ask for the servers that are to be there before."""
        asked = {
            f"before-{project}": create(*ids, project_id=project, image=self._image)
            for project, ids in self.present.items()
        }
        _append(log, list(asked.items()))

    def send(self, log: Log) -> None:
        """Write the backlog."""
        sent = list(self.commands.items())
        again = [one for n, one in enumerate(sent) if n % TWICE_EVERY == 0]
        for n, one in reversed(list(enumerate(again))):
            sent.insert(min(len(sent), n * TWICE_EVERY + LATER), one)
        _append(log, sent)

    def _boots(self) -> list[Command]:
        return [
            create(id, project_id=project, image=self._image)
            for project, ids in self.made.items()
            for id in ids
        ]

    def _reboots(self) -> list[Command]:
        ids = chain.from_iterable(self.present.values())
        return [RebootServer(server_id=id, type="HARD") for id in ids]

    def _flavors(self, names: list[str]) -> list[Command]:
        return [
            flavor(names[n - 1] if n % REFUSED_EVERY == REFUSED_EVERY - 1 else name)
            for n, name in enumerate(names)
        ]


class Counts:
    """What the log holds when all is done."""

    def __init__(self, log: Log) -> None:
        self.decided: dict[str, Counter[str]] = {}
        """By the id of a command, its facts in compute by their types, and its refusals."""
        self.servers: dict[str, Counter[str]] = {}
        """By the id of a server, the facts about it in compute and in fleet."""
        self.marks: dict[str, Marks] = {"compute": Marks(), "fleet": Marks()}
        self.taken_twice: list[str] = []
        """A sentence for each follow-up that came before another one that was taken already."""
        for domain in self.marks:
            self._count_journal(log, domain)
        self.orders: Counter[tuple[str, str, int]] = Counter()
        """How many ids each order has: server, kind, operation."""
        self.repeated = 0
        """Orders that hosts were given once more."""
        self._count_orders(log)
        self.answers: dict[str, Counter[int]] = {}
        """By the id of a command, how often each status was said."""
        for record in _records(log, topics.REPLIES):
            reply = CODEC.decode(record.value)
            assert isinstance(reply, Reply)
            self.answers.setdefault(reply.command_id, Counter())[reply.status] += 1
        self.untaken = list(_untaken(log, self.marks))
        """A sentence for each command that no mark covers."""

    def _count_journal(self, log: Log, domain: str) -> None:
        terms = Terms()
        for record in _records(log, topics.events(domain)):
            if not terms.admits(record):
                continue
            marks = marks_of(record)
            if marks is not None:
                known = self.marks[domain].taken
                self.taken_twice += [
                    f"{domain} takes {number} of {journal} after {known[journal]}"
                    for journal, number in marks.taken.items()
                    if number <= known.get(journal, (0, -1))
                ]
                self.marks[domain] = self.marks[domain].after(marks)
            message = CODEC.decode(record.value)
            if not is_control(record):
                self._count_event(record, message)
            elif isinstance(message, Marked):
                for one in message.refused:
                    self.decided.setdefault(one.command_id, Counter())["refused"] += 1

    def _count_event(self, record: Record, event: Message) -> None:
        assert isinstance(event, Event)
        name = type(event).__name__
        cause = record.headers.get("ce_causationid", "")
        self.decided.setdefault(cause, Counter())[name] += 1
        server_id = getattr(event, "server_id", "")
        if server_id:
            self.servers.setdefault(server_id, Counter())[name] += 1

    def _count_orders(self, log: Log) -> None:
        ids: set[tuple[str, str, int, str]] = set()
        for host in HOSTS:
            for record in _records(log, topics.dispatch(host)):
                work = CODEC.decode(record.value)
                if isinstance(work, BuildGuest | RebootGuest):
                    kind, id = type(work).__name__, record.headers["ce_id"]
                    order = (work.server_id, kind, work.operation, id)
                    self.repeated += order in ids
                    ids.add(order)
        self.orders.update((server, kind, operation) for server, kind, operation, _ in ids)


def violations(backlog: Backlog, counts: Counts, boots: Mapping[str, int]) -> list[str]:
    """All that is wrong, a sentence each. ``boots``: how often each guest was started, by its
    server's id."""
    wrong = [*counts.untaken, *counts.taken_twice]
    for id, command in backlog.commands.items():
        decided, answers = counts.decided.get(id, Counter()), counts.answers.get(id, Counter())
        if decided != (facts := _facts(command, refused=id in backlog.refused)):
            wrong.append(f"{id} was decided as {dict(decided)} instead of {dict(facts)}")
        if set(answers) != ({409} if id in backlog.refused else {0}):
            wrong.append(f"{id} was answered {dict(answers)}")
    before = set(chain.from_iterable(backlog.present.values()))
    for id in [*before, *chain.from_iterable(backlog.made.values())]:
        wrong += _about(id, counts, boots.get(id, 0), rebooted=id in before)
    return wrong


def _facts(command: Command, *, refused: bool) -> Counter[str]:
    """What the journal must hold of a command."""
    if refused:
        return Counter(["refused"])
    if isinstance(command, RebootServer):
        return Counter([f.RebootRequested.__name__])
    if isinstance(command, CreateFlavor):
        return Counter([FlavorCreated.__name__])
    return Counter([f.ServerCreated.__name__, f.ServersRequested.__name__])


def _about(id: str, counts: Counts, starts: int, *, rebooted: bool) -> Iterator[str]:
    """What is wrong with a server: each follow-up and each order is there once."""
    facts, orders = counts.servers.get(id, Counter()), {(id, BuildGuest.__name__, 1)}
    once = [f.HostSelected, f.DomainStarted, AllocationClaimed]
    if rebooted:
        once += [f.RebootRequested, f.ServerRebooted]
        orders.add((id, RebootGuest.__name__, 2))
    for fact in once:
        if facts[fact.__name__] != 1:
            yield f"{id} has {facts[fact.__name__]} {fact.__name__}: {dict(facts)}"
    if facts[f.BootFailed.__name__] or facts[f.RebootFailed.__name__]:
        yield f"{id} has failed: {dict(facts)}"
    for order in orders:
        if counts.orders[order] != 1:
            yield f"the order {order} has {counts.orders[order]} ids"
    if starts != len(orders):
        yield f"the guest of {id} was started {starts} times instead of {len(orders)}"


def _untaken(log: Log, marks: Mapping[str, Marks]) -> Iterator[str]:
    """Yield a sentence for each command that its journal does not mark as taken: by its place, or
    by the fact that it follows from. What a new owner delivers once more is marked late."""
    for domain, known in marks.items():
        topic = topics.commands(domain)
        for record in _records(log, topic, known.inputs.get(topic, 0)):
            id = record.headers["ce_id"]
            origin = origin_of(id)
            if origin is None or origin[1] > known.taken.get(origin[0], (0, 0)):
                yield f"{id} is not taken: {topic} is up to {known.inputs.get(topic, 0)}"


def _ids() -> list[str]:
    return [str(uuid.uuid4()) for _ in range(SERVERS_EACH)]


def _mixed(*kinds: list[Command]) -> Iterator[Command]:
    """Yield all of them, mixed, each kind in its order."""
    turns = [kind for kind in kinds for _ in kind]
    Random(7).shuffle(turns)
    left = {id(kind): iter(kind) for kind in kinds}
    for kind in turns:
        yield next(left[id(kind)])


def _append(log: Log, sent: list[tuple[str, Command]]) -> None:
    """Write commands to the partition, in order."""
    for at in range(0, len(sent), APPENDED):
        log.append([_outgoing(id, command) for id, command in sent[at : at + APPENDED]], 60.0)


def _outgoing(id: str, command: Command) -> Outgoing:
    context = Context(id=id, time=time.time_ns() // 1000, reply_to="0", request_id=f"req-{id}")
    made = headers(context, command.type_name, "/chronova/tests")
    return Outgoing(COMMANDS, "backlog", CODEC.encode(command), made, 0)


def _records(log: Log, topic: str, start: int = 0) -> Iterator[Record]:
    """Yield what the topic's only partition holds now, from an offset on."""
    with closing(log.reader({(topic, 0): start})) as reader:
        end = reader.ends()[topic, 0]
        while reader.positions()[topic, 0] < end:
            yield from reader.poll(1.0, 5000)

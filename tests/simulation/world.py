"""A whole site in one thread: made from a seed, run, brought to rest, and looked at.

What the seed draws: how many deciders, hosts and clients, which faults are on and how often they
strike, what is asked when, and who goes on next. The same seed gives the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType

import handlers.decider.loop
from api.image.store import ImageStore
from chronova.domains import load_handlers, load_projections
from events import topics
from events.compute.flavor import FlavorSnapshot
from events.compute.server import Server
from events.log.contract import Record, TopicPartition
from events.log.records import Codec
from events.message import Command
from tests.parts.proofs import checked
from tests.simulation import api, images, rest, roles
from tests.simulation.builds import TODAY, BuildCodec, Builds, enabled, judge, younger
from tests.simulation.clients import Client
from tests.simulation.cluster import CachingCodec, WatchedCluster
from tests.simulation.faults import Faults
from tests.simulation.forgeries import Forgeries
from tests.simulation.kernel import SECOND, START, Kernel
from tests.simulation.machines import Machine
from tests.simulation.observer import Observer
from tests.simulation.process import Process
from tests.simulation.projector import Tables
from tests.simulation.virtual import virtual
from tests.simulation.workloads import Workload

load_handlers()
load_projections()

PARTITIONS = 2
STEPS_MAX = 400_000
REST_S = 4000.0
"""Within this virtual time of good health everything must be at rest: three builds' deadlines."""
LINGERS_S = (0.0, 0.0, 20.0, 150.0, 700.0)
"""How long faults go on when nobody asks for anything any more: deadlines pass."""
LOOKS_S = 250.0
"""At rest, the hosts look at their guests at least twice more after what they did last is old."""
STORY_LINES = 400
CLOCK_EVERY = 32
LOOK_EVERY = 8
"""Steps between two looks whether it is over."""
SNAPSHOT_EVERY = 40
CODEC = CachingCodec()


class Violation(Exception):
    """An invariant does not hold. ``kind`` names it, ``subject`` is the server it is about."""

    def __init__(self, kind: str, text: str, subject: str = "") -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.subject = subject


class World:
    """One simulated site. Use as a context: snapshots lie in a folder that is removed."""

    def __init__(self, seed: int, workload: Workload, faults: tuple[str, ...]) -> None:
        self.seed = seed
        self.handing_over = seed % 2 == 0
        """Half of the seeds take every command through the log, as between several deciders."""
        self.workload = workload
        self.upgrading = Builds.name in faults
        """Whether versions are mixed (``tests.simulation.builds``)."""
        self.kernel = Kernel(seed)
        self.story: deque[tuple[int, str, str]] = deque(maxlen=STORY_LINES)
        self.violation: Violation | None = None
        self.running: dict[str, Process] = {}
        self._words = 0
        self.stores: list[ImageStore] = []
        self.acknowledged: dict[str, Command] = {}
        self.asked: dict[tuple[str, str], api.Asked] = {}
        """By request and type, the commands that the API has sent."""
        self.operations: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.codec = CODEC
        self.codec.forget()
        self.cluster = WatchedCluster(self)
        for topic in topics.all_topics(PARTITIONS):
            self.cluster.create(topic)
        self.observer = Observer(self.codec, self.complain, self._unread)
        self.blurred = self.observer.blurred
        self.forgeries = Forgeries(self.codec, self.complain)
        self.observer.forged = self.forgeries.ids
        self.sources = [
            source for source in self.cluster.partitions if source[0].endswith(".events")
        ]
        self.faults = Faults(self, faults, Random(self.kernel.rng.random()))
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._patched = ExitStack()
        self._draw()

    def __enter__(self) -> World:
        if self.upgrading:
            self._patched.enter_context(younger())
        self._patched.enter_context(checked())
        self._virtual = virtual(self)
        self._virtual.__enter__()
        self._snapshot_every = handlers.decider.loop.SNAPSHOT_EVERY
        handlers.decider.loop.SNAPSHOT_EVERY = SNAPSHOT_EVERY
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        handlers.decider.loop.SNAPSHOT_EVERY = self._snapshot_every
        self._patched.close()
        for process in self._processes():
            process.crash()
        self._virtual.__exit__(None, None, None)
        if self._folder is not None:
            self._folder.cleanup()

    # ------------------------------------------------------------ the site

    def _draw(self) -> None:
        rng, workload = self.kernel.rng, self.workload
        self.projects = [f"project-{n}" for n in range(workload.projects)]
        self.flavors = {
            "tiny": _flavor("tiny", 1, 512, 1),
            "small": _flavor("small", 2, 2048, 10),
        }
        self.machines = [
            Machine(self, f"host-{n}", rng.choice((1, 2, 4)), rng.choice((4096, 8192)), 60)
            for n in range(rng.randint(2, 4))
        ]
        for machine in self.machines:
            self.observer.hypervisors[machine.host] = machine.hypervisor
            self.cluster.create(topics.of_host(machine.host))
        shared = 2 if rng.random() < 0.3 else 1
        self.machines_of = [self.machines[:shared], *([one] for one in self.machines[shared:])]
        self.agents = [self._agent(number) for number in range(len(self.machines_of))]
        self.deciders = [
            Process(self, f"decider-{n}", roles.decider) for n in range(rng.randint(1, 3))
        ]
        self.tables = Tables(self.sources, self.codec)
        self.projector = Process(self, "projector", roles.projector)
        self._clients = [
            Client(self, number, workload, workload.count) for number in range(workload.clients)
        ]
        self.apis = [Process(self, f"api-{n}", api.serve) for n in range(rng.randint(1, 2))]
        self.clients = [client.process for client in self._clients]
        for process in (*self.apis, *self.clients):
            process.known = TODAY

    def _agent(self, number: int) -> Process:
        machines = self.machines_of[number]
        return Process(self, f"agent-{machines[0].host}", partial(roles.agent, machines))

    def _processes(self) -> list[Process]:
        return [*self._servers(), *self.clients]

    def _servers(self) -> list[Process]:
        return [*self.deciders, *self.agents, self.projector, *self.apis]

    def codec_of(self, process: Process) -> Codec:
        """What a process writes and reads with."""
        return BuildCodec(self, process) if self.upgrading else self.codec

    def snapshots(self) -> Path:
        """Where all machines' snapshots are."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="simulation-")
        return Path(self._folder.name)

    def snapshot_folder(self, process: str) -> Path:
        """Each machine's own; with damaged files it may be one for all."""
        shared = "files" in self.faults.names and self.seed % 3 == 0
        return self.snapshots() / ("shared" if shared else process)

    def host_folder(self, host: str) -> Path:
        """What a host keeps on its disk."""
        folder = self.snapshots() / host
        folder.mkdir(exist_ok=True)
        return folder

    def store(self) -> ImageStore:
        """The image store that all processes of the API share."""
        if not self.stores:
            self.stores.append(ImageStore(self.snapshots() / "images"))
        return self.stores[0]

    def fetched(self, checksum: str) -> bytes:
        """The data that a host fetches. Raises ``NotStored``."""
        return images.fetched(self, checksum)

    # ------------------------------------------------- what the faults do here

    def restart_later(self, process: Process, seconds: float) -> None:
        """Start it again then, if it is gone by then and nobody replaced it."""

        def restart() -> None:
            if process not in self._processes():
                return
            if not process.alive:
                process.start()
            elif process.stopping:
                self.restart_later(process, 1.0)

        self.kernel.after(seconds, restart)

    def restore(self, count: int) -> None:
        """Every process ends; the log holds its first ``count`` records; all start again.

        The projections are made again, as the operator is told to do.
        """
        processes = [one for one in self._processes() if one.alive]
        for process in processes:
            process.crash()
            process.log.expel()
        lost = self.cluster.restore(count)
        self.blurred |= {
            id
            for (name, id) in self.observer.states
            if name == "server" and any(id.encode() in record.value for record in lost)
        }
        self.observer = self.observer.without_history()
        # What was decided since is undone: the deadlines of then may be long over.
        then = self.cluster.written[-1].timestamp if self.cluster.written else START
        self.observer.excused += self.kernel.now - then
        # A report may be lost whose work the host has done: only its deadline ends that.
        self.observer.forgiven |= self.blurred
        self.observer.wrote(self.cluster.written)
        asked = {record.headers.get("ce_id", "") for record in self.cluster.written}
        self.acknowledged = {id: c for id, c in self.acknowledged.items() if id in asked}
        self.tables = Tables(self.sources, self.codec)
        for process in processes:
            self.restart_later(process, 1.0)

    def replace_agent(self, number: int) -> None:
        """Another process of the same agent starts; the first one is fenced."""
        name = self.agents[number].name + "'"
        self.agents[number] = self._agent(number)
        self.agents[number].name = name
        self.agents[number].start()

    # ------------------------------------------------------- what is told here

    def note(self, who: str, what: str) -> None:
        """A line of the story."""
        self.story.append((self.kernel.now, who, what))

    def wrote(self, records: list[Record]) -> None:
        """One append."""
        if self.upgrading:
            judge(records, [*self.deciders, *self.agents, self.projector], self.complain)
        for record in records:
            if record.topic.endswith(".commands") and record.headers.get("ce_replyto"):
                self._sent(record)
            if record.topic != topics.HEARTBEATS:
                type_name = record.headers.get("ce_type", "?").removeprefix("chronova.")
                self.note(
                    f"{record.topic}/{record.partition}@{record.offset}",
                    f"{type_name} {record.headers.get('ce_subject', record.key)}",
                )
        self.forgeries.wrote(records)
        self.observer.wrote(records)

    def _sent(self, record: Record) -> None:
        """The API has written a command: it has to be answered, whatever the API heard."""
        id, command = record.headers["ce_id"], self.codec.decode(record.value)
        assert isinstance(command, Command)
        self.acknowledged[id] = command
        asked = self.asked.get((record.headers["ce_requestid"], command.type_name))
        if asked is not None and id not in asked.ids:
            asked.ids.append(id)
            if len(asked.ids) > asked.times:
                self.complain("sent twice", f"{command.type_name} has the ids {asked.ids}")

    def new_word(self) -> str:
        """A word that nobody else listens for."""
        self._words += 1
        return f"word {self._words}"

    def _unread(self, source: TopicPartition, offset: int) -> list[Record]:
        records = self.cluster.partition(source).read(offset, STEPS_MAX)
        return [record for record in records if not self.forgeries.has(record)]

    def complain(
        self, kind: str, text: str, subject: str = "", cause: BaseException | None = None
    ) -> None:
        """An invariant does not hold; the first one counts."""
        if self.violation is None:
            self.note("VIOLATION", f"{kind}: {text}")
            self.violation = Violation(kind, text, subject)
            self.violation.__cause__ = cause

    def visible_servers(self) -> list[Server]:
        """What a client may see in a list, the deleted ones too, in order of creation."""
        return [
            state
            for (name, _), state in self.observer.states.items()
            if name == "server" and state is not None
        ]

    # ----------------------------------------------------------------- the run

    def run(self) -> None:
        """All of it. Raises ``Violation``."""
        self._begin()
        self._until(lambda: not any(client.alive for client in self.clients), "the clients", None)
        self._for(self.kernel.rng.choice(LINGERS_S))
        self._heal()
        rest_s = REST_S + self.observer.ahead / SECOND
        self._until(self._settled, "the site", rest_s)
        self._for(LOOKS_S + self.observer.ahead / SECOND)
        self._until(self._settled, "the site", rest_s)
        rest.check(self)
        if self.upgrading and not enabled(self.cluster.partition((topics.FEATURES, 0)).records):
            raise Violation("too late", "all are today's version, and the level is not enabled")
        if self.violation is not None:
            raise self.violation

    def _begin(self) -> None:
        for process in self._servers():
            process.start()
        self._for(3.0)
        for client in self._clients:
            client.process.start()
        self.faults.begin()

    def _heal(self) -> None:
        self.note("FAULT", "all is well from now on")
        self.faults.heal()
        self.observer.healed_at = self.kernel.now
        for machine in self.machines:
            if machine.was_slow and machine.holder is not None:
                machine.holder.crash()  # or its steps would take long even now
            machine.slow_s = 0.0
        for process in self._processes():
            process.skew = 0
            process.thaw()
        self._revive()

    def _revive(self) -> None:
        for process in self._servers():
            if not process.alive:
                process.start()
            elif process.stopping:
                self.restart_later(process, 1.0)

    def _until(self, done: Callable[[], bool], what: str, seconds: float | None) -> None:
        limit = None if seconds is None else self.kernel.now + int(seconds * SECOND)
        looks = 0
        while looks % LOOK_EVERY or not done():
            looks += 1
            if looks % CLOCK_EVERY == 0:
                self.observer.look_at_the_clock(self.kernel.now)
            self.kernel.step()
            if self.violation is not None:
                raise self.violation
            if self.kernel.steps > STEPS_MAX:
                raise Violation("busy", f"{what}: no end after {STEPS_MAX} steps")
            if limit is not None and self.kernel.now > limit:
                subject, text = rest.in_flight(self)
                if missing := rest.undelivered(self):
                    raise Violation("undelivered", f"after {seconds} s: {missing}", subject)
                raise Violation("in flight", f"after {seconds} s: {text}", subject)

    def _for(self, seconds: float) -> None:
        until = self.kernel.now + int(seconds * SECOND)
        self._until(lambda: self.kernel.now >= until, "time", None)

    def _settled(self) -> bool:
        return not rest.in_flight(self)[1]

    def digest(self) -> str:
        """A hash over every record of the log."""
        digest = hashlib.sha256()
        for source in sorted(self.cluster.partitions):
            for record in self.cluster.partitions[source].records:
                digest.update(repr(record).encode())
        return digest.hexdigest()


def _flavor(id: str, vcpus: int, ram_mib: int, root_gib: int) -> FlavorSnapshot:
    return FlavorSnapshot(flavor_id=id, name=id, vcpus=vcpus, ram_mib=ram_mib, root_gib=root_gib)

"""Clients: what the API's bus does for a request, one request at a time.

Send the command, wait for the answer at most 15 s. Without one the client does not know what
became of it; it looks again later, or asks anew, as people do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.compute.quota import SetQuotas
from events import topics
from events.compute.flavor import FlavorSnapshot
from events.features import NotEnabled
from events.log.contract import LATEST, LogError, LogUnavailable, Outgoing
from events.log.records import headers
from events.message import Command, Context
from events.outcome import Reply
from tests.simulation.process import Process

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.workloads import Workload
    from tests.simulation.world import World

ANSWER_S = 15.0


class Client:
    """One user of some projects. ``partition``: where its answers come."""

    def __init__(self, world: World, number: int, workload: Workload, operations: int) -> None:
        self.world = world
        self.number = number
        self.workload = workload
        self.left = operations
        self.rng: Random = world.kernel.rng
        self.projects = world.projects
        self.flavors: dict[str, FlavorSnapshot] = dict(world.flavors)
        self.made = 0
        self.process = Process(world, f"client-{number}", self.run)

    def run(self, process: Process) -> None:
        """Operations of the workload, with pauses between, until none is left."""
        world = self.world
        while True:
            try:
                partition = self.number % process.log.partitions(topics.REPLIES)
                self._reader = process.log.reader({(topics.REPLIES, partition): LATEST})
                self._partition = partition
                break
            except LogUnavailable:
                process.pause(1.0)
        process.pause(world.kernel.rng.uniform(0.0, 3.0))
        if self.number == 0:
            for project in self.projects:
                limits = dict(self.workload.quotas)
                self.ask(SetQuotas(project_id=project, limits=limits, force=True), project)
        names, weights = zip(*self.workload.operations.items(), strict=True)
        while self.left > 0:
            self.left -= 1
            name = self.rng.choices(names, weights)[0]
            world.operations[name] += 1
            self.workload.run(name, self)
            process.pause(self.rng.choice(self.workload.pauses_s))
        process.end()

    def new_id(self) -> str:
        """An id for something new."""
        self.made += 1
        return f"{self.number:08x}-0000-4000-8000-{self.made:012x}"

    def ask(self, command: Command, key: str) -> Reply | None:
        """The answer, or None when there was none in time."""
        process = self.process
        context = Context(
            id=process.new_id(),
            time=process.clock(),
            request_id=f"req-{self.number}-{process._ids}",
            user_id=f"user-{self.number}",
            project_id=key,
            reply_to=str(self._partition),
        )
        made = headers(context, command.type_name, "/chronova/api")
        topic = topics.commands(command.type_domain)
        try:
            record = Outgoing(topic, key, process.codec.encode(command), made)
        except NotEnabled:
            self.world.note(process.name, f"cannot ask {command.type_name} yet")
            return None
        self.world.note(process.name, f"asks {command.type_name} {context.id}")
        try:
            process.log.append([record])
        except LogUnavailable:
            return None
        self.world.acknowledged[context.id] = command
        return self._answer(context.id)

    def _answer(self, id: str) -> Reply | None:
        until = self.process.monotonic() + ANSWER_S
        while (left := until - self.process.monotonic()) > 0:
            try:
                records = self._reader.poll(left)
            except LogError:
                self.process.pause(0.5)
                continue
            for record in records:
                if record.key == id:
                    reply = self.world.codec.decode(record.value)
                    assert isinstance(reply, Reply)
                    return reply
        return None

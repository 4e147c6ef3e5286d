"""Clients: users of some projects, who ask the API for one thing after the other.

A client that is told 503, or whose connection is lost, does not know what became of its request; it
looks again later, or asks once more, as people do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.bus import Actor
from commands.compute.quota import SetQuotas
from events.compute.flavor import FlavorSnapshot
from events.message import Command
from tests.simulation import api
from tests.simulation.process import Process

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.workloads import Workload
    from tests.simulation.world import World


class Client:
    """One user of some projects."""

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
        self._requests = 0

    def run(self, process: Process) -> None:
        """Operations of the workload, with pauses between, until none is left."""
        world = self.world
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

    def actor(self, project: str) -> Actor:
        """Who asks, in a new request."""
        self._requests += 1
        request_id = f"req-{self.number}-{self._requests}"
        return Actor(user_id=f"user-{self.number}", project_id=project, request_id=request_id)

    def request(self, work: api.Work) -> int | None:
        """Have the API do ``work``; the status of its response (see ``api.Response``)."""
        return api.request(self.process, work).status

    def ask(self, command: Command, key: str) -> int | None:
        """Have one command decided; the status of the response."""
        actor = self.actor(key)
        return self.request(lambda process: api.send(process, command, key, actor))

"""The host agent: makes real on its hosts what the log says, and reports what is real.

It is the performer (``handlers/performer``) of the work on guests, and reports their power states:
at its start, now and then, and when a hypervisor tells of a change.

One agent serves one host with libvirt, or any number of simulated hosts.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping

import msgspec
import structlog

from commands.compute.power_state import ReportPowerState
from events import topics
from events.host_proof import Proofs
from events.log.contract import Log, LogError, TopicMismatch
from events.log.records import Codec
from events.message import Context
from handlers.compute.drivers.contract import (
    Driver,
    DriverError,
    HypervisorUnavailable,
    LifecycleEvent,
    PowerState,
    Removed,
)
from handlers.compute.host import AgentRefused, kinds_of_agent
from handlers.compute.image_fetch import Fetch, ImageFetches
from handlers.compute.performing import SecretsOf, kinds_of, unable, without_secrets
from handlers.performer.bookmark import Keeper
from handlers.performer.performer import IDLE_S, Performer
from handlers.performer.pool import DaemonPool, Pool
from handlers.performer.watcher import Unwatched, Watcher
from handlers.performer.witness import Appender

LOOKS_MAX = 10_000
"""Guests to be looked at; what is beyond is seen by the next look at all guests."""

logger = structlog.get_logger("agent")


class Agent:
    """Serves ``hosts`` (driver by host name). ``step`` is one turn of the loop; one thread's.

    ``threads``: servers worked on at once, and as many builds; 0: each piece at once in the loop's
    thread, for drivers that never wait. ``pool``: what works instead of threads.
    ``node_ids``: the compute node of each host, to know itself when it is refused.
    ``pause(seconds)`` returns early when the agent is to stop. ``keeper``: how far it has read.
    ``appender`` writes its reports. ``anew``: the log went back, so all is read and said again.
    ``secrets_of``: asks for guests' user data and passwords. ``proofs``: of who writes reports.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        hosts: Mapping[str, Driver],
        fetch: Fetch,
        *,
        threads: int,
        clock: Callable[[], int],
        pause: Callable[[float], object],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        codec: Codec | None = None,
        pool: Pool | None = None,
        keeper: Keeper | None = None,
        watcher: Watcher | None = None,
        node_ids: Mapping[str, str] | None = None,
        appender: Appender | None = None,
        anew: bool = False,
        secrets_of: SecretsOf = without_secrets,
        proofs: Proofs | None = None,
    ) -> None:
        self._hosts = dict(hosts)
        self._clock = clock
        self._new_id = new_id
        self._refused = ""
        served = sorted(hosts)
        for host in served:
            have_topic(log, host)
        watcher = watcher or Unwatched()

        def made(name: str) -> Pool | None:
            return pool or (DaemonPool(threads, name, watcher.defect) if threads else None)

        self._short = made("guest")
        self._performer = Performer(
            log,
            name,
            {topics.dispatch(host): host for host in served},
            kinds_of(self._hosts, ImageFetches(fetch), secrets_of)
            | kinds_of_agent(node_ids or {}, self._on_refused),
            unable,
            clock=clock,
            pause=pause,
            short=self._short,
            long=made("build"),
            keeper=keeper,
            codec=codec,
            watcher=watcher,
            appender=appender,
            anew=anew,
            went_back=self._log_went_back,
            proofs=proofs,
        )
        for host in served if anew else ():
            self._log_went_back(host)
        self._looks_lock = threading.Lock()
        self._looks: dict[tuple[str, str], None] = {}
        self._looking = False
        for driver in self._hosts.values():
            driver.listen(self._on_lifecycle(driver.host))

    # ------------------------------------------------------------ the loop

    def step(self, wait_s: float = IDLE_S) -> int:
        """Read work, hand it out, write what was reported; return how many records were read.

        Raises ``LogUnavailable`` when the log is away. Raises ``AgentRefused`` when the host's name
        belongs to another node: then the process must end.
        """
        if self._refused:
            raise AgentRefused(self._refused)
        with self._looks_lock:
            asked = bool(self._looks) and not self._looking
            self._looking = self._looking or asked
        if asked and self._short is None:
            self._look()
        elif asked and self._short is not None:
            self._short.submit(self._look)
        return self._performer.step(wait_s)

    def _on_refused(self, reason: str) -> None:
        logger.error("refused", reason=reason)
        self._refused = reason

    def at_rest(self) -> bool:
        """Whether nothing waits, is under way, or is to be reported."""
        return self._performer.at_rest()

    def reached(self) -> dict[str, int]:
        """How far each host's topic is read, by the topic's name."""
        return self._performer.reached()

    def wake(self) -> None:
        """From any thread: let a waiting ``step`` return now."""
        self._performer.wake()

    def close(self) -> None:
        """End what is under way, report it, let go of the hypervisors."""
        self._performer.close()
        for driver in self._hosts.values():
            driver.close()

    # -------------------------------------------------------- power states

    def _on_lifecycle(self, host: str) -> Callable[[str, LifecycleEvent], None]:
        def happened(server_id: str, event: LifecycleEvent) -> None:
            if self._performer.busy(host, server_id):
                return
            with self._looks_lock:
                if len(self._looks) < LOOKS_MAX:
                    self._looks[host, server_id] = None
            self._performer.wake()

        return happened

    def _look(self) -> None:
        """Report the power state of each guest that a hypervisor told of. A defect leaves out the
        guest at hand: a later turn of the loop goes on with the others."""
        try:
            while (guest := self._next_look()) is not None:
                host, server_id = guest
                try:
                    self.report_power(self._hosts[host], server_id)
                except DriverError as error:
                    logger.warning("power_unknown", server=server_id, reason=str(error))
        except BaseException:
            with self._looks_lock:
                self._looking = False
            self._performer.wake()
            raise

    def _next_look(self) -> tuple[str, str] | None:
        """Host and server to look at now; None ends the looking. While much is unreported they
        wait, each guest once: what is read later is newer."""
        with self._looks_lock:
            if not self._looks or self._performer.full():
                self._looking = False
                return None
            guest = next(iter(self._looks))
            del self._looks[guest]
            return guest

    def sync_power(self) -> int:
        """Report the power state of every guest that can be read; how many. Called now and then:
        while much is unreported, guests are left to the next time. Raises
        ``HypervisorUnavailable``."""
        count = 0
        for driver in self._hosts.values():
            for server_id in () if self._performer.full() else driver.power_states():
                if self._performer.full() or self._performer.busy(driver.host, server_id):
                    continue
                try:
                    self.report_power(driver, server_id)
                    count += 1
                except HypervisorUnavailable:
                    raise
                except DriverError as error:
                    logger.warning("power_unknown", server=server_id, reason=str(error))
        return count

    def _log_went_back(self, host: str) -> None:
        """The log lost some of what this host did: nothing here is removed for what it lacks.

        Guests get a mark that says so, those that are gone are said to be gone.
        """
        driver = self._hosts[host]
        for server_id in driver.power_states():
            mark = driver.mark(server_id)
            if mark is not None and mark.stage != "removed" and not mark.ahead:
                driver.put_mark(server_id, msgspec.structs.replace(mark, ahead=True))
            self.report_power(driver, server_id)
        there = driver.power_states()
        for removed in driver.removed():
            if removed.server_id not in there:
                self._report_removed(host, removed)

    def _report_removed(self, host: str, removed: Removed) -> None:
        generation, operation, _ = removed.version
        report = ReportPowerState(
            server_id=removed.server_id,
            project_id=removed.project_id,
            generation=generation,
            host=host,
            power_state=int(PowerState.NOSTATE),
            operation=operation,
        )
        self._send(report)

    def report_power(self, driver: Driver, server_id: str) -> None:
        """Read and report one guest's power state, with the last operation that was done."""
        mark = driver.mark(server_id)
        project_id = driver.project_id(server_id)
        generation = driver.generation(server_id)
        if project_id is None or generation is None:
            return
        done = mark is not None and mark.version[0] == generation
        report = ReportPowerState(
            server_id=server_id,
            project_id=project_id,
            generation=generation,
            host=driver.host,
            power_state=int(driver.power_state(server_id)),
            operation=mark.version[1] if mark is not None and done else 0,
            ahead=mark is not None and mark.ahead,
        )
        self._send(report)

    def _send(self, report: ReportPowerState) -> None:
        id = f"{self._new_id()}:{report.type_name}"
        context = Context(id=id, time=self._clock(), project_id=report.project_id)
        self._performer.send(report, context, report.project_id)


def have_topic(log: Log, host: str) -> None:
    """Make the topic of a host's work if it is missing. Raises ``LogError`` with what to do where
    only an administrator may; ``ValueError`` for a name that no topic can have."""
    wanted = topics.of_host(host)
    try:
        log.partitions(wanted.name)
    except TopicMismatch:
        try:
            log.create_topics([wanted])
        except LogError as error:
            raise type(error)(
                f"the topic {wanted.name} is missing and could not be made ({error}); where hosts"
                f" may make none, the administrator's `chronova topics create --host {host}` does"
            ) from error


def run(agent: Agent, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
    """Step until ``stopped()``. Any error but that of a log which is away ends it."""
    while not stopped():
        try:
            agent.step()
        except LogError as error:
            logger.warning("log_away", reason=str(error))
            pause(0.5)

"""The long part of a rebuild, in processes: one Python process folds on one core only.

Each process follows some of the build's partitions until it is level with them and ends. What it
has done is in the tables, positions and all, so nothing has to be handed over: whoever goes on
opens where the tables are. That holds for a process that fails, too; the partitions that it did
not finish are read by the caller, which then meets the same failure itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

import structlog

from events.log.contract import Log, LogError, TopicPartition
from projections.builds import Build
from projections.connection import GONE, sentence
from projections.crew import TICK_S, follow_to_the_end
from projections.failures import ProjectionError
from projections.follower import Follower
from projections.garbage import rare_collections
from projections.model import read_model

EVENTS_MIN = 20_000
"""With fewer unread events it is not worth while: a process takes half a second to start."""

PROCESSES_MAX = 4
ENDS_S = 10.0

logger = structlog.get_logger("projector")

Opener = Callable[[], Log]
"""Opens the log anew. Has to be picklable: a function of a module, or a ``partial`` of one."""


def read_in_processes(
    opener: Opener,
    database_url: str,
    build: Build,
    unread: Mapping[TopicPartition, int],
    records_max: int,
    states_max: int,
    stopped: threading.Event,
    show: Callable[[], None],
) -> None:
    """Read what is ``unread`` (about so many events of each partition) into ``build``, or a part
    of it: until all processes have ended, or ``stopped`` is set. ``show`` is called meanwhile."""
    spawned = multiprocessing.get_context("spawn")
    processes = [
        spawned.Process(
            target=_read,
            args=(opener, database_url, build, share, records_max, states_max),
            name=f"rebuild-{n}",
            daemon=True,
        )
        for n, share in enumerate(shares(unread, min(PROCESSES_MAX, os.cpu_count() or 1)))
    ]
    try:
        _start(processes)
        while any(process.is_alive() for process in processes) and not stopped.wait(TICK_S):
            show()
    finally:
        _end(processes)


def shares(unread: Mapping[TopicPartition, int], number: int) -> list[list[TopicPartition]]:
    """The partitions with something unread in at most ``number`` lists, about equally much in
    each: the largest first, always to the list that has the least so far."""
    lists: list[list[TopicPartition]] = [[] for _ in range(number)]
    sums = [0] * number
    for source in sorted(unread, key=lambda source: (-unread[source], source)):
        if unread[source] > 0:
            least = sums.index(min(sums))
            lists[least].append(source)
            sums[least] += unread[source]
    return [found for found in lists if found]


def _start(processes: Sequence[BaseProcess]) -> None:
    """Ctrl-C, which a terminal sends to all processes, is the parent's alone to take: the new ones
    never see it, not even while they load. (Starting the tracker would unblock it again.)"""
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        for process in processes:
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: Sequence[BaseProcess]) -> None:
    begun = [process for process in processes if process.pid is not None]
    for process in begun:
        process.terminate()
    for process in begun:
        process.join(ENDS_S)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _read(
    opener: Opener,
    database_url: str,
    build: Build,
    sources: Sequence[TopicPartition],
    records_max: int,
    states_max: int,
) -> None:
    """A process. SIGTERM ends it after the batch under way, and so does the parent's death."""
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told  # a lock could be held by what this interrupts
        told = True

    signal.signal(signal.SIGTERM, end)
    parent = multiprocessing.parent_process()
    log = opener()
    follower = Follower(
        log,
        database_url,
        build,
        sources,
        read_model(),
        records_max=records_max,
        states_max=states_max,
    )
    try:
        with rare_collections():
            follower.open()
            follow_to_the_end(
                follower, lambda: told or (parent is not None and not parent.is_alive())
            )
    except (ProjectionError, LogError, *GONE) as error:
        # Who started it reads on, and tells the operator what it meets itself.
        logger.warning("rebuild_process_ends", reason=sentence(error))
    finally:
        follower.close()
        log.close()

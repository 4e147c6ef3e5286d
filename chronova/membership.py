"""A process as a member of the cluster: it says that it lives and which feature level it knows.

It announces itself first and looks then which level is required: whoever raises the level writes
that first and looks then who is there (``handlers.features``). So one of the two sees the other.
A process that is too old says so in a last heartbeat, by which ``chronova status`` names it, and
does not start; one that sleeps while the level rises ends when it looks next.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from chronova import __version__
from events.features import PROCESS, Levels, TooOld
from events.fleet.heartbeat import Heartbeat, fitting
from events.log.contract import Log, LogError
from events.log.records import Codec
from handlers.decider import wall_clock
from handlers.heartbeat import heartbeat_record

AGAIN_S = 1.0
"""Pause after a heartbeat that the log did not take."""

SAY_S = 5.0
GOODBYE_S = 2.0
"""How long an append is waited for. A process that ends says so only if it costs no time: it is
missed after a while anyway."""

logger = structlog.get_logger("membership")


class Say(Protocol):
    """Appends a heartbeat. Raises ``LogError``."""

    def __call__(self, *, ending: bool, troubles: Sequence[str] = ()) -> None:
        """``ending``: the last one."""


def announce(say: Say, troubles: Sequence[str] = (), levels: Levels = PROCESS) -> bool:
    """Say that this process is there, then see whether its version may be at work; whether the log
    took it. Raises ``TooOld``.

    A log that is away stops nobody: it takes no other record either.
    """
    try:
        say(ending=False, troubles=troubles)
        levels.check()
    except TooOld as error:
        try:
            say(ending=True, troubles=[str(error)])
        except LogError as away:
            logger.warning("refusal_not_said", reason=str(away))
        raise
    except LogError as error:
        logger.warning("no_heartbeat", reason=str(error))
        return False
    return True


class Membership:
    """The heartbeats of one process that serves no host."""

    def __init__(
        self,
        log: Log,
        binary: str,
        interval_s: float,
    ) -> None:
        self._log = log
        self._binary = binary
        self._interval_s = interval_s
        self.troubles: Callable[[], Sequence[str]] = tuple
        """What waits for somebody's help, one sentence each."""
        self._codec = Codec()
        self._started = wall_clock()

    def say(self, *, ending: bool, troubles: Sequence[str] = ()) -> None:
        """See ``Say``."""
        beat = Heartbeat(
            host=socket.gethostname(),
            binary=self._binary,
            at=wall_clock(),
            started_at=self._started,
            version=__version__,
            troubles=fitting(troubles),
            level=PROCESS.known,
            process=str(os.getpid()),
            ending=ending,
        )
        limit_s = GOODBYE_S if ending else SAY_S
        self._log.append([heartbeat_record(self._codec, beat, str(uuid.uuid4()))], limit_s)

    def enter(self, pause: Callable[[float], bool] | None = None) -> None:
        """Announce the process, before it begins its work. Raises ``TooOld``.

        ``pause``: what follows would harm unannounced, so a log that is away is waited for, until
        ``pause(seconds)`` says that the process ends.
        """
        while not announce(self.say):
            if pause is None or pause(AGAIN_S):
                return

    def keep(self, pause: Callable[[float], bool]) -> None:
        """Say it now and then until ``pause(seconds)`` says that the process ends. Raises
        ``TooOld`` when the level has risen meanwhile."""
        said = True
        while not pause(self._interval_s if said else AGAIN_S):
            said = announce(self.say, self.troubles())

    def leave(self) -> None:
        """Say that the process ends: nobody waits for it any longer."""
        try:
            self.say(ending=True)
        except LogError as error:
            logger.warning("goodbye_not_said", reason=str(error))

"""The loop of a process that decides, until it is stopped."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from events.log.contract import LogError
from handlers.decider.loop import RETRY_S, Decider

logger = structlog.get_logger("decider")


def run(decider: Decider, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
    """Step until ``stopped()``; a log that is away is tried again after ``pause``."""
    while not stopped():
        try:
            decider.step()
        except LogError as error:
            logger.warning("log_away", reason=str(error))
            pause(RETRY_S)

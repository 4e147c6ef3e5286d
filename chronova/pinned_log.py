"""A host belongs to one log: it refuses to obey another while it holds guests.

The log's identity is kept in a file in the host's folder, written when the host first serves.
Another log knows nothing of the guests there; obeying it would mix two clouds on one host.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from chronova.settings import SettingsError
from handlers.compute.drivers.contract import Driver

FILE = "log.id"

logger = structlog.get_logger("agent")


class AnotherLog(SettingsError):
    """The host belongs to another log than the one that is configured."""


def pin(folder: Path, host: str, identity: str, driver: Driver) -> None:
    """Keep the log's identity with the host. Raises ``AnotherLog`` with what to do.

    A host without guests may change to another log.
    """
    path = folder / FILE
    known = path.read_text().strip() if path.exists() else ""
    if known == identity:
        return
    if known and driver.power_states():
        raise AnotherLog(
            f"host {host} holds guests of the log {known}, and the settings name the log"
            f" {identity}: nothing was touched. Correct the settings; or, if the guests are meant"
            f" to be taken over, remove {path} and start again"
        )
    if known:
        logger.warning("log_changed", host=host, before=known, now=identity)
    new = path.with_name(FILE + ".new")
    new.write_text(identity + "\n")
    new.replace(path)

"""A decider that kills itself (SIGKILL) at a chosen place: ``python -m tests.chaos.backlog_owner``.

Arguments: the log's URL, its options as JSON, its domains with commas, the folder of its snapshots,
the place, and after how many commits to the journal of its first domain it dies there at the
earliest. The place "nowhere" is for one that ends at SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import handlers.decider.loop
from chronova.domains import load_handlers
from events import topics
from events.log import open_log
from events.log.contract import Log, Outgoing
from handlers.decider import Decider, run

SNAPSHOT_EVERY = 500
"""Records between two snapshots: some lie in the middle of a backlog, with effects undelivered."""

NOWHERE = "nowhere"
PLACES = (
    "after the commit, before delivery",
    "in the middle of a delivery",
    "after delivery, before its mark",
    "after refusals are written, before the commit",
)


class Deadly:
    """The writes of a log, with a death at ``place``."""

    def __init__(self, log: Log, domain: str, place: str, after: int) -> None:
        self._commit, self._append = log.commit, log.append
        self._journal = topics.events(domain)
        self._refusals = topics.refusals(domain)
        self._place = PLACES.index(place)
        self._left = after

    def commit(self, appends: Sequence[Any], *limit_s: float) -> Sequence[Any]:
        """As the log's own, but for the death after it."""
        outcomes = self._commit(appends, *limit_s)
        if any(journal.source[0] == self._journal for journal, _ in appends):
            self._left -= 1
            self._die(0)
        return outcomes

    def append(self, records: Sequence[Outgoing], *limit_s: float) -> Sequence[int]:
        """As the log's own, but for the deaths in it and after it."""
        refusals = {record.topic for record in records} == {self._refusals}
        if not refusals and len(records) > 1 and self._place == 1 and self._left <= 0:
            self._append(records[: len(records) // 2], *limit_s)
            self._die(1)
        offsets = self._append(records, *limit_s)
        self._die(3 if refusals else 2)
        return offsets

    def _die(self, place: int) -> None:
        if place == self._place and self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Decide until the end, whichever it is."""
    url, options, domains, folder, place, after = sys.argv[1:]
    own = domains.split(",")
    load_handlers()
    handlers.decider.loop.SNAPSHOT_EVERY = SNAPSHOT_EVERY
    log = open_log(url, **json.loads(options))
    if place != NOWHERE:
        deadly = Deadly(log, own[0], place, int(after))
        changed: Mapping[str, Any] = {"commit": deadly.commit, "append": deadly.append}
        vars(log).update(changed)
    decider = Decider(log, own, snapshots=Path(folder))
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        decider.wake()

    signal.signal(signal.SIGTERM, end)
    run(decider, stop.is_set, stop.wait)
    decider.close()
    log.close()


if __name__ == "__main__":
    main()

"""The operator, who looks after a site whose log was put back. What it asks is in the history."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from random import Random

from chronova.connections import open_site_log
from chronova.domains import load_projections
from chronova.question import Question
from commands.compute.unknown_guest import AdoptGuest, RemoveUnknownGuest
from events.compute.unknown_guest import UnknownGuest
from events.log.contract import Log
from events.outcome import CommandRefused
from projections.compute.unknown_guests import list_unknown_guests
from projections.live import engine
from tests.bench.sites import Site
from tests.chaos.check import all_servers
from tests.chaos.history.caller import Caller
from tests.chaos.history.clients import SERVERS
from tests.chaos.history.entries import OPERATOR, Recorder, Removed, Request, Wrong

SETTLED_S = 120.0
QUIET_S = 12.0
"""Nothing more is to be decided when no host has reported a guest for so long: they do so within
some seconds after they began."""
ANSWER_S = 15.0


class Patient(Random):
    """Chances of a caller that never hangs up, and is never slow."""

    def random(self) -> float:
        return 1.0


class Operator:
    """Works as the admin, and as ``chronova host unknown-guests``."""

    def __init__(self, site: Site, recorder: Recorder, log: Log) -> None:
        self._site, self._recorder, self._log = site, recorder, log
        self._caller = Caller(site, "admin", OPERATOR, recorder, Patient())

    def decide(self, guest: UnknownGuest) -> None:
        """Adopt a guest whose server the log knows, have any other removed."""
        host, server_id = guest.host, guest.server_id
        if self._ask("show", "GET", server_id).status == 200:
            adopt = Question(
                self._log, AdoptGuest(host=host, server_id=server_id), guest.project_id
            )
            for event in adopt.answer(ANSWER_S):
                if isinstance(event, CommandRefused):
                    self._recorder.add(Wrong(sentence=f"adopt {server_id}: {event.detail}"))
            return
        self._recorder.add(Removed(host=host, server_id=server_id))
        remove = RemoveUnknownGuest(host=host, server_id=server_id)
        Question(self._log, remove, guest.project_id).answer(ANSWER_S)

    def delete_what_has_no_guest(self) -> None:
        """Servers whose deletion is gone from the log."""
        for server in all_servers(self._site.client()):
            if server["status"] == "ACTIVE" and not server["OS-EXT-STS:power_state"]:
                self._ask("delete", "DELETE", server["id"])

    def _ask(self, operation: str, method: str, server_id: str) -> Request:
        asked = Request(
            client=OPERATOR,
            project_id="",
            operation=operation,
            server_id=server_id,
            began=0,
            ended=0,
            status=None,
        )
        return self._caller.ask(asked, method, f"{SERVERS}/{server_id}")


def settle(site: Site, recorder: Recorder) -> None:
    """Do what docs/operations.md has the operator do after a restore."""
    load_projections()
    pause, done = threading.Event(), set[str]()
    with closing(open_site_log(site.settings)) as log, _unknown(site) as unknown:
        operator = Operator(site, recorder, log)
        quiet, end = time.monotonic(), time.monotonic() + SETTLED_S
        while time.monotonic() - quiet < QUIET_S and time.monotonic() < end:
            for guest in unknown():
                quiet = time.monotonic()
                if not guest.removing and guest.server_id not in done:
                    done.add(guest.server_id)
                    operator.decide(guest)
            pause.wait(0.5)
        recorder.add(*(Wrong(sentence=f"still unknown: {guest}") for guest in unknown()))
        operator.delete_what_has_no_guest()


@contextmanager
def _unknown(site: Site) -> Iterator[Callable[[], list[UnknownGuest]]]:
    pool = engine(site.settings.database_url, 1)
    try:
        yield lambda: list_unknown_guests(pool)
    finally:
        pool.dispose()

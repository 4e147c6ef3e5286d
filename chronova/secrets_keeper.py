"""The keeper of secrets: what a server gave to keep is forgotten when the server is deleted.

It runs in the projector, whose tables say which servers there are. A deletion that shows is carried
out at once. What a crash left undone, or left behind, a sweep finds at the start and now and then:

- keys of servers that are deleted;
- secrets that no server has: their request was refused, lost, or the process died in it. A request
  is decided at most ``SECRETS_STORED`` after they were stored; twice as long after it, and only
  when the tables have had all since, they are no server's.

Nothing is swept before the projector has found the tables to be of this log and level with it, nor
when they are further back than they were then: log or tables may have been restored, and the one
that is behind lacks servers. All may be repeated, by several processes at once.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import structlog

from api.compute.secret_store import Held, SecretStore
from commands.compute import limits
from events.compute.server import Server
from projections import aside, builds, live
from projections.builds import LIVE_SCHEMA, Places
from projections.fold import Batch

SWEEP_EVERY_S = 600.0
RETRY_S = 10.0
ORPHAN_S = 2 * limits.SECRETS_STORED / limits.SECOND
BATCH = 1000

FOUND = f"SELECT id, deleted, secrets_id FROM {LIVE_SCHEMA}.servers WHERE id = ANY(%s)"

logger = structlog.get_logger("secrets")


class Row(msgspec.Struct, frozen=True):
    """What the tables say of a server."""

    deleted: bool
    secrets_id: str | None


class SecretsKeeper:
    """``projections.projector.Listener``. ``run`` is a thread's; the rest the projector's."""

    def __init__(self, root: Path, database_url: str) -> None:
        self._store = SecretStore(root)
        self._url = database_url
        self._deleted: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._level: tuple[float, Places] | None = None
        self._sweep_at = time.monotonic()
        self._stopped = False

    def committed(self, batch: Batch) -> None:
        """Note the servers that are deleted now."""
        for server, _ in batch.touched.values():
            if isinstance(server, Server) and server.secrets and server.vm_state == "deleted":
                self._deleted.put((server.secrets.secrets_id, server.server_id))

    def level(self, since_s: float, places: Places) -> None:
        """Note that the tables have all that was appended before this moment."""
        first, self._level = self._level is None, (since_s, places)
        if first:
            self._deleted.put(None)

    def stop(self) -> None:
        """From any thread: let ``run`` return."""
        self._stopped = True
        self._deleted.put(None)

    def run(self) -> None:
        """Forget what is to be forgotten until ``stop``."""
        while not self._stopped:
            wait_s = max(0.0, self._sweep_at - time.monotonic())
            try:
                one = self._deleted.get(timeout=None if self._level is None else wait_s)
            except queue.Empty:
                self._sweep()
                continue
            if one is not None:
                self._drop(*one)

    def sweep(self, connection: Any) -> int:
        """Forget all that is no living server's; how many keys that were."""
        if self._level is None or not _reached(connection, self._level[1]):
            return 0
        level_s, dropped = self._level[0], 0
        every = self._store.held()
        while some := list(islice(every, BATCH)):
            ids = sorted({server_id for held in some for server_id in held.server_ids})
            rows, unsure = _rows(connection, ids), _set_aside(connection)
            for held in some:
                orphaned = not unsure and level_s - held.since > ORPHAN_S
                for server_id in _forgotten(held, rows, orphaned):
                    self._drop(held.secrets_id, server_id)
                    dropped += 1
                if orphaned and not held.server_ids:
                    self._store.drop_all(held.secrets_id)
        return dropped

    def _sweep(self) -> None:
        self._sweep_at = time.monotonic() + SWEEP_EVERY_S
        engine = live.engine(self._url, pool_size=1)
        try:
            with closing(engine.raw_connection()) as connection:
                dropped = self.sweep(connection)
        except Exception as error:  # noqa: BLE001 - whatever is away, it is tried again
            logger.info("secrets_not_swept", reason=aside.reason(error))
            self._sweep_at = time.monotonic() + RETRY_S
        else:
            if dropped:
                logger.info("secrets_swept", keys=dropped)
        finally:
            engine.dispose()

    def _drop(self, secrets_id: str, server_id: str) -> None:
        try:
            self._store.drop(secrets_id, server_id)
        except (OSError, ValueError) as error:
            logger.warning("secrets_not_forgotten", server=server_id, reason=str(error))
            self._sweep_at = min(self._sweep_at, time.monotonic() + RETRY_S)


def _reached(connection: Any, places: Places) -> bool:
    """Whether the tables are as far as they were."""
    now = builds.places(connection, LIVE_SCHEMA)
    return all(
        source in now and now[source].position >= place.position for source, place in places.items()
    )


def _forgotten(held: Held, rows: dict[str, Row], orphaned: bool) -> Iterator[str]:
    """The servers among those held whose keys are to go."""
    for server_id in held.server_ids:
        row = rows.get(server_id)
        mine = row is not None and row.secrets_id == held.secrets_id
        if (row is not None and mine and row.deleted) or (orphaned and not mine):
            yield server_id


def _rows(connection: Any, ids: Collection[str]) -> dict[str, Row]:
    with connection.cursor() as cursor:
        cursor.execute(FOUND, (list(ids),))
        return {id: Row(deleted, secrets_id) for id, deleted, secrets_id in cursor.fetchall()}


def _set_aside(connection: Any) -> bool:
    """Whether some servers may have no row, or not the right one."""
    return any(note.aggregate == "server" for note in aside.notes(connection, LIVE_SCHEMA))

"""One thread and one connection per process that hear of news, so that nobody polls.

Postgres wakes every listening session of a database for each commit that notifies, whatever
its channels, so a process has one, shared by all its readers and members. A notification says
which partition now ends where, and mostly with which records; it rings the bells of those who
read that partition. Lost ones
(a dropped connection) are made up for by reading the ends anew after each connect and, in case
all else fails, once a second.

The thread also keeps the process's group memberships (``postgres_membership``) and forgets
records whose retention is over. It never stops for a failure of any kind: it logs it and begins
again with a new connection.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress

from events.log.contract import LogError, LogUnavailable
from events.log.postgres_connection import Connection, Pool, Row
from events.log.postgres_membership import Membership, Memberships
from events.log.postgres_tail import Tail, parse

BEAT_S = 0.5
REFRESH_S = 1.0
TRIM_S = 10.0
"""Also the time until idle connections are looked through."""
TRIM_RECORDS = 500
BACKOFF_S = 0.2
STATEMENT_S = 5.0

_log = logging.getLogger(__name__)


class Watch:
    """One reader's interest: its bell rings for records in ``parts`` and changes of ``group``."""

    def __init__(self, topics: Iterable[int], parts: Iterable[int] = ()) -> None:
        self.topics = frozenset(topics)
        self.parts = frozenset(parts)
        self.group: int | None = None
        self.group_changed = True
        self.woken = False
        self.bell = threading.Event()

    def wake(self) -> None:
        """Make the reader's ``poll`` return."""
        self.woken = True
        self.bell.set()

    def regroup(self) -> None:
        """Make the member look what it owns."""
        self.group_changed = True
        self.bell.set()


class Listener:
    """The thread; it starts with the first watch. ``ends`` is what is known of partitions' ends,
    ``tail`` the records that were heard of last."""

    def __init__(self, pool: Pool, schema: str, session_s: float) -> None:
        self.ends: dict[int, int] = {}
        self.tail = Tail()
        self._pool = pool
        self._schema = schema
        self._memberships = Memberships(schema, session_s)
        self._watches: set[Watch] = set()
        self._listening: set[str] = set()
        self._channels = ""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._refresh_at = self._beat_at = self._work_at = 0.0
        self._trim_at = time.monotonic() + TRIM_S

    @property
    def parts(self) -> set[int]:
        """The partitions that are read in this process."""
        return {part for watch in self._watches for part in watch.parts}

    def add(self, watch: Watch) -> None:
        """Ring its bell from now on."""
        with self._lock:
            self._watches = self._watches | {watch}
            self._start()
        self._nudge()

    def remove(self, watch: Watch) -> None:
        """Ring its bell no more."""
        with self._lock:
            self._watches = self._watches - {watch}

    def join(self, membership: Membership) -> None:
        """Keep this membership alive from now on."""
        with self._lock:
            self._memberships.add(membership)
            self._start()
        self._nudge()

    def leave(self, membership: Membership, timeout_s: float) -> None:
        """End a membership, so that others take over now; if the server is away, later."""
        membership.leaving = True
        if not self._closing:
            self._nudge()
            membership.left.wait(timeout_s)

    def start(self) -> None:
        """Run, also without a watch: records' retention is looked after."""
        with self._lock:
            self._start()

    def close(self, timeout_s: float) -> None:
        """Leave all groups and end the thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._memberships.leave_all()
        if self._thread is not None:
            self._nudge()
            self._thread.join(timeout_s)
        with self._lock:
            os.close(self._wake_write)
            self._wake_write = -1
            if self._thread is None or not self._thread.is_alive():
                os.close(self._wake_read)

    def _start(self) -> None:
        if self._closing:
            raise LogUnavailable("the log has been closed")
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="log-listener", daemon=True)
            self._thread.start()

    def _nudge(self) -> None:
        with self._lock:
            if self._wake_write >= 0:
                with suppress(BlockingIOError):  # the pipe is full: it is awake
                    os.write(self._wake_write, b"!")

    def _run(self) -> None:
        while not self._closing:
            try:
                with closing(self._connect()) as connection:
                    self._start_over(connection)
                    self._serve(connection)
            except LogError as error:
                if not self._closing:
                    _log.warning("the log's listener connects again: %s", error)
                    self._sleep(BACKOFF_S)
            except Exception:  # noqa: BLE001 - logged; it begins again
                # Without this thread nobody hears of records and no membership is kept.
                _log.exception("the log's listener failed and begins again")
                self._sleep(BACKOFF_S)

    def _connect(self) -> Connection:
        return self._pool.connect(time.monotonic() + STATEMENT_S, stop=lambda: self._closing)

    def _start_over(self, connection: Connection) -> None:
        """Forget what was true of the connection before."""
        self._listening = set()
        self._channels = connection.run(f"SELECT {self._schema}.channel('')", STATEMENT_S)[0][0]
        self._refresh_at = self._beat_at = 0.0
        self._memberships.reconnected()

    def _serve(self, connection: Connection) -> None:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        self._work_at = 0.0
        while True:
            # Between news and the bell nothing else is done: others wait for this thread.
            if time.monotonic() >= self._work_at:
                self._work(connection)
                if self._closing:
                    return
            if not connection.notified:
                left_s = max(0.0, self._work_at - time.monotonic())
                for fd, _ in poll.poll(left_s * 1000):
                    if fd == self._wake_read:
                        os.read(self._wake_read, 4096)
                        self._work_at = 0.0
            for channel, payload in connection.notifications():
                self._heard(channel, payload)

    def _work(self, connection: Connection) -> None:
        """All that is due, and when something will be again."""
        self._listen(connection)
        with self._lock:
            members = self._memberships.all()
        if members and (time.monotonic() >= self._beat_at or self._memberships.pressing):
            self._beat_at = time.monotonic() + BEAT_S
            self._memberships.keep(connection)
            self._listen(connection)
        self._refresh(connection)
        self._trim(connection)
        self._work_at = min(self._refresh_at, self._trim_at)
        if self._memberships.pressing:
            self._work_at = 0.0
        elif members:
            self._work_at = min(self._work_at, self._beat_at)

    def _listen(self, connection: Connection) -> None:
        watches = self._watches
        wanted = {f"{self._channels}t{topic}" for watch in watches for topic in watch.topics}
        wanted |= {f"{self._channels}g{watch.group}" for watch in watches if watch.group}
        fresh, gone = wanted - self._listening, self._listening - wanted
        if fresh or gone:
            statements = [f'LISTEN "{channel}"' for channel in sorted(fresh)]
            statements += [f'UNLISTEN "{channel}"' for channel in sorted(gone)]
            connection.run(";".join(statements), STATEMENT_S)
            self._listening = wanted
        if fresh:
            self._refresh_at = 0.0
            for watch in watches:
                if watch.group and f"{self._channels}g{watch.group}" in fresh:
                    self._memberships.look_at(watch.group)
                    watch.regroup()

    def _refresh(self, connection: Connection) -> None:
        if time.monotonic() < self._refresh_at:
            return
        self._refresh_at = time.monotonic() + REFRESH_S
        parts = sorted(self.parts)
        self.tail.keep(frozenset(parts))
        if not parts:
            return
        for part, end in connection.run(
            f"SELECT id, next_offset FROM {self._schema}.partition "
            f"WHERE id = ANY ('{{{','.join(map(str, parts))}}}')",
            STATEMENT_S,
        ):
            self.hear(part, end)

    def _trim(self, connection: Connection) -> None:
        if time.monotonic() < self._trim_at:
            return
        more = connection.run(f"SELECT {self._schema}.trim({TRIM_RECORDS})", STATEMENT_S)[0][0]
        self._trim_at = time.monotonic() + (BEAT_S if more else TRIM_S)
        self._pool.close_idle()

    def _heard(self, channel: str, payload: str) -> None:
        kind, number = channel[len(self._channels)], channel[len(self._channels) + 1 :]
        if kind == "t":
            self.hear(*parse(payload))
        elif kind == "g":
            group = int(number)
            self._memberships.look_at(group)
            self._work_at = 0.0
            for watch in self._watches:
                if watch.group == group:
                    watch.regroup()

    def hear(self, part: int, end: int, rows: Sequence[Row] = ()) -> None:
        """From any thread: the partition ends there now, and these are its last records."""
        watches = [watch for watch in self._watches if part in watch.parts]
        if watches and rows:
            self.tail.add(part, rows)
        with self._lock:
            if end <= self.ends.get(part, -1):
                return
            self.ends[part] = end
        for watch in watches:
            watch.bell.set()

    def _sleep(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        if poll.poll(seconds * 1000):
            os.read(self._wake_read, 4096)

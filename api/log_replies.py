"""The answers to this process's commands.

Each process reads one partition of the ``replies`` topic, chosen at random; several may share
one, so each looks for its own commands' ids and passes over the rest. The reader stands before the
first command is sent, so no answer is missed; where the log is away for a while it goes on from
where it was.
"""

from __future__ import annotations

import secrets
import threading

import structlog

from events.log.contract import LATEST, Log, LogError, Reader, Record
from events.log.records import BadRecord, Codec
from events.message import UnknownMessage
from events.outcome import Reply
from events.topics import REPLIES
from schemas.catalog import UnknownSchema

POLL_S = 30.0
PAUSE_S = 0.2
CLOSE_S = 5.0

logger = structlog.get_logger("bus")


class Awaited:
    """One command's answer: ``wait`` for it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reply: Reply | None = None

    def arrive(self, reply: Reply | None) -> None:
        """The answer is here; None: it will not come."""
        self._reply = reply
        self._event.set()

    def wait(self, timeout_s: float) -> Reply | None:
        """The answer, or None when none came in time."""
        self._event.wait(timeout_s)
        return self._reply


class Replies:
    """Reads this process's answers. Make it after a fork; thread-safe."""

    def __init__(self, log: Log, codec: Codec) -> None:
        self.partition = secrets.randbelow(log.partitions(REPLIES))
        self._log = log
        self._codec = codec
        self._lock = threading.Lock()
        self._awaited: dict[str, Awaited] = {}
        self._closed = threading.Event()
        self._reader: Reader = log.reader({(REPLIES, self.partition): LATEST})
        self._thread = threading.Thread(target=self._run, name="replies", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread still reads."""
        return self._thread.is_alive()

    def expect(self, command_id: str) -> Awaited:
        """Before the command is sent: its answer will be wanted."""
        awaited = Awaited()
        with self._lock:
            self._awaited[command_id] = awaited
            closed = self._closed.is_set()
        if closed:
            awaited.arrive(None)
        return awaited

    def forget(self, command_id: str) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._awaited.pop(command_id, None)

    def close(self) -> None:
        """End the thread; whoever waits gets no answer. Twice is fine."""
        self._closed.set()
        self._reader.wake()
        self._thread.join(CLOSE_S)
        with self._lock:
            waiting = list(self._awaited.values())
            self._awaited.clear()
        for awaited in waiting:
            awaited.arrive(None)

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    for record in self._reader.poll(POLL_S):
                        self._deliver(record)
                except LogError as error:
                    logger.warning("replies_wait", reason=str(error))
                    self._resume()
        finally:
            self._reader.close()

    def _resume(self) -> None:
        """A new reader where the old one was."""
        start = dict(self._reader.positions())
        while not self._closed.wait(PAUSE_S):
            try:
                reader = self._log.reader(start)
            except LogError:
                continue
            self._reader.close()
            self._reader = reader
            return

    def _deliver(self, record: Record) -> None:
        if record.key not in self._awaited:
            return
        try:
            reply = self._codec.decode(record.value)
        except (BadRecord, UnknownSchema, UnknownMessage) as error:
            logger.error("reply_unreadable", command=record.key, reason=str(error))
            return
        if isinstance(reply, Reply):
            with self._lock:
                awaited = self._awaited.pop(reply.command_id, None)
            if awaited is not None:
                awaited.arrive(reply)

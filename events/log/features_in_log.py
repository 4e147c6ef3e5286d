"""The feature levels that a log has reached, read from its topic ``features``."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing

from events.features import FeaturesEnabled, FeaturesRequired, Reached
from events.log.contract import Log, LogUnavailable, Record, TopicMismatch
from events.log.records import BadRecord, Codec
from events.message import UnknownMessage
from events.topics import FEATURES
from schemas.catalog import UnknownSchema

SOURCE = (FEATURES, 0)
READ_S = 15.0

logger = logging.getLogger(__name__)


class FeaturesInLog:
    """``events.features.Levels.look_up`` for a log: one small request, unless there is something
    new. Thread-safe."""

    def __init__(self, log: Log, codec: Codec | None = None) -> None:
        self._log = log
        self._codec = codec or Codec()
        self._lock = threading.Lock()
        self._next = 0
        self._reached = Reached()

    def __call__(self) -> Reached:
        """Return what the log holds now. Raises ``LogError``."""
        with self._lock:
            try:
                end = self._log.ends([SOURCE])[SOURCE]
            except TopicMismatch:  # a site of before there were levels
                return self._reached
            if end > self._next:
                self._read(end)
            return self._reached

    def _read(self, end: int) -> None:
        until = time.monotonic() + READ_S
        reached = self._reached
        with closing(self._log.reader({SOURCE: self._next})) as reader:
            while reader.positions()[SOURCE] < end:
                for record in reader.poll(0.5):
                    reached = self._after(reached, record)
                if time.monotonic() > until:
                    raise LogUnavailable(f"the topic {FEATURES} was not read in {READ_S:.0f} s")
        self._next, self._reached = end, reached

    def _after(self, reached: Reached, record: Record) -> Reached:
        try:
            message = self._codec.decode(record.value)
        except (BadRecord, UnknownMessage, UnknownSchema) as error:
            logger.error("%s@%d cannot be read: %s", FEATURES, record.offset, error)
            return reached
        if isinstance(message, FeaturesEnabled):
            enabled = max(reached.enabled, message.level)
            return Reached(max(reached.required, enabled), enabled)
        if isinstance(message, FeaturesRequired):
            return Reached(max(reached.required, message.level), reached.enabled)
        return reached

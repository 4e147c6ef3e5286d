"""The feature levels that a log has reached, read from its topic ``features``."""

from __future__ import annotations

import logging
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
    new. Thread-safe without a lock: threads that read at once read the same."""

    def __init__(self, log: Log, codec: Codec | None = None) -> None:
        self._log = log
        self._codec = codec or Codec()
        self._known = (0, Reached())
        """The offset up to which it was read, and what that came to."""

    def __call__(self) -> Reached:
        """Return what the log holds now. Raises ``LogError``."""
        start, reached = self._known
        try:
            end = self._log.ends([SOURCE])[SOURCE]
        except TopicMismatch:  # a site of before there were levels
            return reached
        if end > start:
            reached = self._read(start, end, reached)
            self._known = (end, reached)
        return reached

    def _read(self, start: int, end: int, reached: Reached) -> Reached:
        until = time.monotonic() + READ_S
        with closing(self._log.reader({SOURCE: start})) as reader:
            while reader.positions()[SOURCE] < end:
                for record in reader.poll(0.5):
                    reached = self._after(reached, record)
                if time.monotonic() > until:
                    raise LogUnavailable(f"the topic {FEATURES} was not read in {READ_S:.0f} s")
        return reached

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

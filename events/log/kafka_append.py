"""Appends without a transaction, by one idempotent producer that all threads share.

kafka-python's producer gathers what threads append at the same time into one request. Waits
are bounded: by the caller's time for the answer, and by the producer's delivery timeout for
the records, which may thus still be written after ``LogUnavailable`` was raised.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import kafka.errors as errors
from kafka import KafkaProducer

from events.log.contract import Outgoing, RecordTooLarge
from events.log.kafka_connection import CLIENT_DEFAULTS, Deadline, new_client, unavailable
from events.log.kafka_records import MESSAGE_BYTES_MAX, headers_of

_WRITE_DEFAULTS: Mapping[str, object] = {
    **CLIENT_DEFAULTS,
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 0,
    "retry_backoff_ms": 10,
    "max_block_ms": 5000,
    "delivery_timeout_ms": 10000,
    "max_request_size": MESSAGE_BYTES_MAX,
    "allow_auto_create_topics": False,
}

_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)


class Appender:
    """Writes records and waits for their offsets. Thread-safe; made anew in a forked child."""

    def __init__(self, bootstrap: str, options: Mapping[str, object], client_id: str) -> None:
        self._settings = {
            **_WRITE_DEFAULTS,
            **options,
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "kafka_client": new_client,
        }
        self._lock = threading.Lock()
        self._producer: Any = None
        self._pid = 0

    def append(self, records: Sequence[Outgoing], timeout_s: float) -> list[int]:
        """Write records, whose partitions are given; their offsets."""
        deadline = Deadline(timeout_s)
        producer = self._open(deadline)
        try:
            futures = [
                producer.send(
                    record.topic,
                    key=record.key.encode(),
                    value=record.value,
                    headers=headers_of(record),
                    partition=record.partition,
                )
                for record in records
            ]
            return [future.get(timeout=deadline.left_s).offset for future in futures]
        except _TOO_LARGE as error:
            raise RecordTooLarge(f"Kafka refused a record as too large: {error}.") from error
        except (errors.KafkaError, OSError) as error:
            if not isinstance(error, errors.RetriableError):
                self._drop(producer)
            raise unavailable("write a record", error) from error

    def close(self) -> None:
        """Release the connections; what was not written within a second is given up."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None and self._pid == os.getpid():
            _end(producer, timeout_s=1.0)

    def _open(self, deadline: Deadline) -> Any:
        with self._lock:
            if self._producer is None or self._pid != os.getpid():
                settings = {**self._settings, "bootstrap_timeout_ms": deadline.left_s * 1000}
                try:
                    self._producer = KafkaProducer(**settings)
                except (errors.KafkaError, OSError) as error:
                    raise unavailable("write a record", error) from error
                self._pid = os.getpid()
            return self._producer

    def _drop(self, producer: Any) -> None:
        """After an error that a producer may not get over: the next append has a new one."""
        with self._lock:
            if self._producer is producer:
                self._producer = None
        _end(producer, timeout_s=0.0)


def _end(producer: Any, timeout_s: float) -> None:
    with contextlib.suppress(errors.KafkaError):
        producer.flush(timeout_s)
    producer._sender.force_close()
    producer._unregister_cleanup()
    producer._closed = True

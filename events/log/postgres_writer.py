"""Writing to the Postgres log: one statement for any number of partitions.

What a process writes and also reads itself need not come back from the database: the listener
gets it from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.log.contract import RecordTooLarge
from events.log.postgres_batch import Batch, Place, decode_headers, write_statement
from events.log.postgres_connection import Pool
from events.log.postgres_listener import Listener
from events.log.terms import BEGINS_TERM

BYTES_MAX = 256 << 20
"""Of one statement, in which a value takes two characters a byte: Postgres takes 1 GiB."""


class Writer:
    """Writes batches. Thread-safe."""

    def __init__(self, pool: Pool, schema: str, listener: Listener, record_bytes_max: int) -> None:
        self.record_bytes_max = record_bytes_max
        self._pool = pool
        self._schema = schema
        self._listener = listener

    def write(self, batches: Sequence[Batch], timeout_s: float) -> list[int | None]:
        """Write ``batches`` in one transaction.

        Returns for each batch the offset of its first record; None means that its term is
        over and nothing of it was written.

        Raises:
            LogUnavailable: unknown what was written.
            RecordTooLarge: the batches are too large together; nothing was written.
            LogError: nothing was written.
        """
        # All writers lock partitions in the order of their ids.
        order = sorted(range(len(batches)), key=lambda index: batches[index].part)
        size = sum(batch.size for batch in batches)
        if size > BYTES_MAX:
            raise RecordTooLarge(f"{size} bytes of records exceed the {BYTES_MAX} of a statement")
        statement = write_statement(self._schema, [batches[index] for index in order])
        self._listener.start()
        answer = self._pool.run(statement, timeout_s)[0][0]
        firsts: list[int | None] = [None] * len(batches)
        for slot, index in enumerate(order):
            firsts[index] = answer[slot]
            if answer[slot] is not None:
                self._hear(batches[index], answer[slot], answer[len(order) + slot])
        return firsts

    def term_begins(self, place: Place, offsets: range, timeout_s: float) -> bool:
        """Return whether a record at one of ``offsets`` begins a term. Raises ``LogError``."""
        statement = (
            f"SELECT headers FROM {self._schema}.record WHERE part = {place.part}"
            f' AND "offset" >= {offsets.start} AND "offset" < {offsets.stop}'
            f" AND strpos(headers, '{BEGINS_TERM}') > 0"
        )
        rows = self._pool.run(statement, timeout_s)
        return any(decode_headers(row[0]).get("ce_type") == BEGINS_TERM for row in rows)

    def _hear(self, batch: Batch, first: int, stamp: int) -> None:
        if batch.rows and batch.part in self._listener.parts:
            rows = [
                (batch.part, offset, stamp, row.key, row.headers, row.value)
                for offset, row in enumerate(batch.rows, first)
            ]
            self._listener.hear(batch.part, first + len(rows), rows)

"""A batch as SQL: one statement for each table that changes, all in one transaction.

Rows travel as one JSON text for each table (``json_populate_recordset``): one parameter whatever
the number of rows and columns, and Postgres does the conversions. ``state`` and other bytes go as
hex, as Postgres writes them itself. The history, of which there is most, goes by COPY (a third of
the time, measured). Tables are found by the connection's search_path.

Statements are prepared on their first use in a session: planning them took longer than running
them (150 → 50 µs of Postgres's CPU for one row, measured). A switch of builds, which renames the
schema, makes Postgres plan them anew.

Round trips: one to load states that are not in the cache (often none), one for all the rest:
BEGIN, the fence, the history's COPY, the changes and COMMIT go as one text. The fence comes first
and fails the transaction, so that nothing is written, and no lock taken but the fence's own, by a
projector that has lost its place.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson
from psycopg2.errors import DivisionByZero
from sqlalchemy import Table

from events.state_codec import BadState, decode_state, encode_state
from projections.actions import INSTANCE_ACTION_EVENTS, INSTANCE_ACTIONS
from projections.builds import Places, announcement
from projections.connection import Connection, Cursor
from projections.failures import ProjectionDiffers, ProjectorFenced
from projections.fold import Batch, Folded, Key
from projections.history import COPY
from projections.model import ReadModel
from projections.table import Row

COPY_CHARS = 1 << 20
"""How much of the history is sent in one piece."""

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def as_json(rows: Sequence[object]) -> str:
    """Rows as a JSON array. Text in Postgres cannot hold NUL: U+FFFD stands for it."""
    made = orjson.dumps(rows, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    if b"\\u0000" in made:
        made = _NUL.sub(rb"\1\\ufffd", made)
    return made.decode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return "\\x" + bytes(value).hex()
    return msgspec.to_builtins(value)


class Writer:
    """Composes and runs the statements for builds of one read model."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._prepared: set[str] = set()
        self._statements = {
            "fence": _FENCE,
            "actions": _ACTIONS,
            "endings": _ENDINGS,
            "steps": _STEPS,
        }
        tables = [projected.table for projected in model.projected.values()]
        for table in (*tables, *(followed.table for followed in model.followed.values())):
            self._statements[_upsert_of(table.name)] = _upsert(table)

    def new_session(self) -> None:
        """The next statement goes through a new connection."""
        self._prepared.clear()

    def load(self, connection: Connection, needs: Mapping[str, Sequence[str]]) -> dict[Key, Folded]:
        """The states of these aggregates, one statement for all; those without a row are left
        out. Raises ``ProjectionDiffers`` for a state that is not of this version."""
        if not needs:
            return {}
        selects = [
            f"SELECT %s, id, state, sequence FROM {self._table(name).name} WHERE id = ANY(%s)"
            for name in needs
        ]
        arguments = [value for name, ids in needs.items() for value in (name, list(ids))]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(selects), arguments)
            found = cursor.fetchall()
        loaded: dict[Key, Folded] = {}
        for name, id, state, sequence in found:
            type: Any = self._model.aggregates[name].state
            try:
                loaded[name, id] = (decode_state(bytes(state), type), sequence)
            except BadState as error:
                raise ProjectionDiffers(f"the row of {name} {id} is unreadable: {error}") from error
        return loaded

    def write(
        self, connection: Connection, build: int, old: Places, batch: Batch, live: bool
    ) -> None:
        """Write a batch in one transaction. Raises ``ProjectorFenced``; nothing is written then.

        ``old``: where the partitions in ``batch.reached`` were before; ``live``: announce it.
        """
        with connection.cursor() as cursor:
            changes = self._changes(cursor, batch)
            if live:
                changes.append(announcement(batch.reached).encode())
            text = [b"BEGIN", self._fence(cursor, build, old, batch), COPY.encode(), *changes]
            history = io.StringIO("\n".join(batch.history))
            try:
                cursor.copy_expert(b";".join([*text, b"COMMIT"]), history, COPY_CHARS)
            except DivisionByZero as error:
                cursor.execute("ROLLBACK")
                raise ProjectorFenced(
                    f"another projector has moved the positions of build {build}"
                ) from error

    def follow(self, connection: Connection, table: str, rows: Sequence[Row]) -> None:
        """Upsert rows of a table beside the events. Rows of one key: the last one counts."""
        keys = [column.name for column in self._model.metadata.tables[table].primary_key]
        newest = {tuple(row[key] for key in keys): row for row in rows}
        with connection.cursor() as cursor:
            cursor.execute(self._call(cursor, _upsert_of(table), list(newest.values())))

    def rows(
        self, touched: Mapping[Key, Folded]
    ) -> tuple[dict[str, list[Row]], dict[str, list[str]]]:
        """By table: the rows of these aggregates, and the ids of those that have none."""
        rows: dict[str, list[Row]] = {}
        gone: dict[str, list[str]] = {}
        for (name, id), (state, sequence) in touched.items():
            projected = self._model.projected[name]
            if state is None:
                gone.setdefault(projected.table.name, []).append(id)
                continue
            row = dict(projected.row(state))
            row.update(id=id, state=encode_state(state), sequence=sequence)
            rows.setdefault(projected.table.name, []).append(row)
        return rows, gone

    def _table(self, aggregate: str) -> Table:
        return self._model.projected[aggregate].table

    def _call(self, cursor: Cursor, name: str, rows: Sequence[object]) -> bytes:
        """The text that runs a statement on these rows, and prepares it if need be."""
        call: bytes = cursor.mogrify(f"EXECUTE {name}(%s)", (as_json(rows),))
        if name in self._prepared:
            return call
        self._prepared.add(name)
        return f"PREPARE {name}(json) AS {self._statements[name]};".encode() + call

    def _fence(self, cursor: Cursor, build: int, old: Places, batch: Batch) -> bytes:
        moves = [
            {
                "topic": source[0],
                "part": source[1],
                "build": build,
                "old_offset": old[source].offset,
                "old_position": old[source].position,
                "new_offset": place.offset,
                "new_position": place.position,
            }
            for source, place in batch.reached.items()
        ]
        return self._call(cursor, "fence", moves)

    def _changes(self, cursor: Cursor, batch: Batch) -> list[bytes]:
        rows, gone = self.rows(batch.touched)
        made = [
            cursor.mogrify(f"DELETE FROM {table} WHERE id = ANY(%s)", (ids,))
            for table, ids in gone.items()
        ]
        made += [self._call(cursor, _upsert_of(table), some) for table, some in rows.items()]
        # New actions; steps of earlier batches that end; new steps. In this order: an ending
        # must not find the steps that this batch began, and these find their actions.
        log = batch.actions
        for name, some in (
            ("actions", list(log.actions.values())),
            ("endings", [msgspec.structs.asdict(ending) for ending in log.endings.values()]),
            ("steps", [msgspec.structs.asdict(step) for step in log.all_steps()]),
        ):
            if some:
                made.append(self._call(cursor, name, some))
        return made


def _upsert_of(table: str) -> str:
    return f"upsert_{table}"


def _insert(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return (
        f"INSERT INTO {table.name} ({columns})"
        f" SELECT {columns} FROM json_populate_recordset(NULL::{table.name}, $1)"
    )


def _upsert(table: Table) -> str:
    keys = [column.name for column in table.primary_key]
    names = ", ".join(f'"{key}"' for key in keys)
    changes = ", ".join(
        f'"{c.name}" = EXCLUDED."{c.name}"' for c in table.columns if c.name not in keys
    )
    return f"{_insert(table)} ON CONFLICT ({names}) DO UPDATE SET {changes}"


_FENCE = """WITH moved AS (UPDATE positions p SET "offset" = v.new_offset, position = v.new_position
FROM json_to_recordset($1) AS v(topic text, part int, build int,
    old_offset bigint, old_position bigint, new_offset bigint, new_position bigint)
WHERE p.topic = v.topic AND p.partition = v.part AND p.build = v.build
    AND p."offset" = v.old_offset AND p.position = v.old_position RETURNING 1)
SELECT 1 / (count(*) = json_array_length($1))::int FROM moved"""
"""Fails (division by zero) unless all positions were where they should be."""

_ACTIONS = _insert(INSTANCE_ACTIONS) + " ON CONFLICT (server_id, request_id) DO NOTHING"

_ENDINGS = """WITH ended AS (
    UPDATE instance_action_events e
    SET finish_time = n.finish_time, result = n.result, details = n.details
    FROM json_to_recordset($1) AS n(
        server_id text, event text, finish_time bigint, result text, details text)
    WHERE e.server_id = n.server_id AND e.event = n.event AND e.finish_time IS NULL
    AND n.finish_time BETWEEN 0 AND 9223372036854775807
    RETURNING e.server_id, e.request_id, e.finish_time AS at, e.result
), news AS (
    SELECT server_id, request_id, max(at) AS at, bool_or(result = 'Error') AS error
    FROM ended GROUP BY server_id, request_id
) UPDATE instance_actions a
SET updated_at = greatest(a.updated_at, n.at),
    message = CASE WHEN n.error THEN 'Error' ELSE a.message END
FROM news n WHERE a.server_id = n.server_id AND a.request_id = n.request_id"""

"""The range, which is always true, makes Postgres expect few endings. Expecting a hundred, it would
read the whole table beside them while that is small, and keep to that plan when it is large."""

_STEP_COLUMNS = ", ".join(column.name for column in INSTANCE_ACTION_EVENTS.columns)
_STEPS = f"""WITH begun AS (
    INSERT INTO instance_action_events ({_STEP_COLUMNS})
    SELECT {_STEP_COLUMNS.replace("request_id", "coalesce(known, '') AS request_id")}
    FROM json_populate_recordset(NULL::instance_action_events, $1) s
    CROSS JOIN LATERAL (SELECT coalesce(nullif(s.request_id, ''), (
        SELECT a.request_id FROM instance_actions a
        WHERE a.server_id = s.server_id AND a.sequence <= s.sequence
        ORDER BY a.sequence DESC LIMIT 1)) AS known) k
    RETURNING server_id, request_id, greatest(start_time, finish_time) AS at, result
), news AS (
    SELECT server_id, request_id, max(at) AS at, bool_or(result = 'Error') AS error
    FROM begun GROUP BY server_id, request_id
) UPDATE instance_actions a
SET updated_at = greatest(a.updated_at, n.at),
    message = CASE WHEN n.error THEN 'Error' ELSE a.message END
FROM news n WHERE a.server_id = n.server_id AND a.request_id = n.request_id"""

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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from psycopg2.errors import DivisionByZero
from sqlalchemy import Table

from events.state_codec import BadState, decode_state
from projections import statements
from projections.actions import ActionLog
from projections.aside import reason
from projections.builds import Places, announcement
from projections.connection import Connection, Cursor, is_about_rows
from projections.failures import BatchTooLarge, ProjectorFenced, UnreadableRow
from projections.fold import Batch, Folded, Key
from projections.history import COPY
from projections.model import ReadModel
from projections.rendering import Rendered, array, as_bytes, as_json, render, render_batch
from projections.table import Row

COPY_CHARS = 1 << 20
"""How much of the history is sent in one piece."""

TEXT_BYTES_MAX = 64 << 20
"""A batch that comes to more is written in halves: a value in Postgres has 1 GiB at most."""


class Writer:
    """Composes and runs the statements for builds of one read model."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._prepared: set[str] = set()
        self._statements = {
            "fence": statements.FENCE,
            "aside": statements.ASIDE,
            "actions": statements.ACTIONS,
            "endings": statements.ENDINGS,
            "steps": statements.STEPS,
        }
        tables = [projected.table for projected in model.projected.values()]
        for table in (*tables, *(followed.table for followed in model.followed.values())):
            self._statements[_upsert_of(table.name)] = statements.upsert(table)

    def new_session(self) -> None:
        """The next statement goes through a new connection."""
        self._prepared.clear()

    def load(self, connection: Connection, needs: Mapping[str, Sequence[str]]) -> dict[Key, Folded]:
        """The states of these aggregates, one statement for all; those without a row are left
        out. Raises ``UnreadableRow`` for a state that is not of this version."""
        if not needs:
            return {}
        selects = [
            f"SELECT %s, id, state, sequence FROM {self._table(name).name} WHERE id = ANY(%s)"
            for name in needs
        ]
        stored = {(name, stored_id(id)): id for name, ids in needs.items() for id in ids}
        arguments = [
            value for name, ids in needs.items() for value in (name, [stored_id(id) for id in ids])
        ]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(selects), arguments)
            found = cursor.fetchall()
        loaded: dict[Key, Folded] = {}
        for name, id, state, sequence in found:
            type: Any = self._model.aggregates[name].state
            try:
                loaded[name, stored[name, id]] = (decode_state(bytes(state), type), sequence)
            except BadState as error:
                raise UnreadableRow(f"the row of {name} {id} is unreadable: {error}") from error
        return loaded

    def write(
        self, connection: Connection, build: int, old: Places, batch: Batch, live: bool
    ) -> None:
        """Write a batch in one transaction. Raises ``ProjectorFenced``; nothing is written then.
        After any other error but those of ``connection.GONE`` call ``recover``.

        ``old``: where the partitions in ``batch.reached`` were before; ``live``: announce it.
        """
        rendered = render_batch(self._model, batch)
        with connection.cursor() as cursor:
            changes = self._changes(cursor, rendered, batch.actions)
            if batch.aside:
                changes.append(self._call(cursor, "aside", _rows(batch.aside.values())))
            if live:
                changes.append(announcement(batch.reached).encode())
            if len(batch.history) > 1 and sum(map(len, changes)) > TEXT_BYTES_MAX:
                raise BatchTooLarge(f"the rows of {len(batch.history)} events are too many bytes")
            text = [b"BEGIN", self._fence(cursor, build, old, batch), COPY.encode(), *changes]
            history = io.StringIO("\n".join(batch.history))
            try:
                cursor.copy_expert(b";".join([*text, b"COMMIT"]), history, COPY_CHARS)
            except DivisionByZero as error:
                cursor.execute("ROLLBACK")
                raise ProjectorFenced(
                    f"another projector has moved the positions of build {build}"
                ) from error

    def recover(self, connection: Connection) -> None:
        """After a statement that failed: end its transaction. What was prepared in a text that
        failed may or may not be there, so all of it is prepared again."""
        self._prepared.clear()
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("DEALLOCATE ALL")

    def refused_row(self, connection: Connection, batch: Batch, key: Key) -> str:
        """Why the row of an aggregate cannot be stored; empty when it can."""
        rendered = render(self._model, {key: batch.touched[key]})
        if rendered.failed:
            return rendered.failed[key]
        return self._tried(connection, rendered, ActionLog())

    def refused_actions(self, connection: Connection, batch: Batch) -> str:
        """Why the instance actions of a batch cannot be stored; empty when they can."""
        return self._tried(connection, Rendered(), batch.actions)

    def refused_history(self, connection: Connection, line: str) -> str:
        """Why a line of the history cannot be stored; empty when it can."""
        error = ""
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.copy_expert(COPY, io.StringIO(line))
        except Exception as raised:
            if not is_about_rows(raised):
                raise
            error = reason(raised)
        self.recover(connection)
        return error

    def put(self, connection: Connection, key: Key, folded: Folded, actions: ActionLog) -> None:
        """Within the caller's transaction: write one aggregate's row, and its actions after those
        that the tables hold of it were deleted."""
        rendered = render(self._model, {key: folded})
        if rendered.failed:
            raise UnreadableRow(rendered.failed[key])
        with connection.cursor() as cursor:
            if key[0] == "server":
                for table in ("instance_actions", "instance_action_events"):
                    statement = f"DELETE FROM {table} WHERE server_id = %s"
                    cursor.execute(statement, (stored_id(key[1]),))
            for text in self._changes(cursor, rendered, actions):
                cursor.execute(text)

    def _tried(self, connection: Connection, rendered: Rendered, actions: ActionLog) -> str:
        error = ""
        try:
            with connection.cursor() as cursor:
                changes = self._changes(cursor, rendered, actions)
                cursor.execute(b";".join([b"BEGIN", *changes]))
        except Exception as raised:
            if not is_about_rows(raised):
                raise
            error = reason(raised)
        self.recover(connection)
        return error

    def follow(self, connection: Connection, table: str, rows: Sequence[Row]) -> None:
        """Upsert rows of a table beside the events. Rows of one key: the last one counts."""
        keys = [column.name for column in self._model.metadata.tables[table].primary_key]
        newest = {tuple(row[key] for key in keys): row for row in rows}
        with connection.cursor() as cursor:
            cursor.execute(self._call(cursor, _upsert_of(table), as_json(list(newest.values()))))

    def _table(self, aggregate: str) -> Table:
        return self._model.projected[aggregate].table

    def _call(self, cursor: Cursor, name: str, rows: str) -> bytes:
        """The text that runs a statement on these rows, and prepares it if need be."""
        call: bytes = cursor.mogrify(f"EXECUTE {name}(%s)", (rows,))
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
                "revision": old[source].revision,
                "old_offset": old[source].offset,
                "old_position": old[source].position,
                "new_offset": place.offset,
                "new_position": place.position,
                "new_term": place.term,
                "new_hash": place.hash,
            }
            for source, place in batch.reached.items()
        ]
        return self._call(cursor, "fence", as_json(moves))

    def _changes(self, cursor: Cursor, rendered: Rendered, log: ActionLog) -> list[bytes]:
        made = [
            cursor.mogrify(
                f"DELETE FROM {table} WHERE id = ANY(%s)", ([stored_id(id) for id in ids],)
            )
            for table, ids in rendered.gone.items()
        ]
        made += [
            self._call(cursor, _upsert_of(table), array(some))
            for table, some in rendered.rows.items()
        ]
        # New actions; steps of earlier batches that end; new steps. In this order: an ending
        # must not find the steps that this batch began, and these find their actions.
        for name, some in (
            ("actions", as_json(list(log.actions.values()))),
            ("endings", _rows(log.endings.values())),
            ("steps", _rows(log.all_steps())),
        ):
            if some != "[]":
                made.append(self._call(cursor, name, some))
        return made


def stored_id(id: str) -> str:
    """An id as it is in the tables: text in Postgres cannot hold NUL."""
    return id.replace("\0", "\ufffd")


def _rows(structs: Iterable[msgspec.Struct]) -> str:
    return array(as_bytes(msgspec.structs.asdict(one)) for one in structs)


def _upsert_of(table: str) -> str:
    return f"upsert_{table}"

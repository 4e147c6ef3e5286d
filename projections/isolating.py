"""Finding what of one event cannot be written.

Every part of it is tried by itself, in a transaction that is rolled back: the row of each aggregate
that it changes, the instance actions, the line of the history. This happens only after a batch
failed and was halved down to this event.
"""

from __future__ import annotations

from projections.actions import ActionLog
from projections.aside import reason
from projections.builds import Places
from projections.connection import Connection, is_about_rows
from projections.fold import Batch, Fold, Folded, Key, Read
from projections.history import history_line
from projections.writer import Writer


def isolated(
    fold: Fold, writer: Writer, connection: Connection, one: Read, reached: Places
) -> Batch:
    """Return the event's batch without what cannot be written, which is set aside in it."""
    loaded, failed = _loaded(fold, writer, connection, one)
    batch = fold.fold([one], loaded, reached)
    for key, error in failed.items():
        batch.set_aside(key, one, error)
    for key in list(batch.touched):
        if error := writer.refused_row(connection, batch, key):
            batch.set_aside(key, one, error)
    error = writer.refused_actions(connection, batch)
    if error or (one.event.folds and one.event.subject in batch.aside):
        batch.actions = ActionLog()
    if error:
        batch.set_aside(one.event.subject, one, error)
    if writer.refused_history(connection, one.line):
        batch.history = [history_line(one.record, one.event, one.stamp, shortened=True)]
    return batch


def _loaded(
    fold: Fold, writer: Writer, connection: Connection, one: Read
) -> tuple[dict[Key, Folded], dict[Key, str]]:
    """The states that the event needs, and why others cannot be read."""
    loaded: dict[Key, Folded] = {}
    failed: dict[Key, str] = {}
    for name, ids in fold.needs([one]).items():
        for id in ids:
            try:
                loaded |= writer.load(connection, {name: [id]})
            except Exception as error:
                if not is_about_rows(error):
                    raise
                writer.recover(connection)
                failed[name, id] = reason(error)
    return loaded, failed

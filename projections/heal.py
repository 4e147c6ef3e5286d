"""Healing what was set aside: its rows made again from the log.

Each partition that set something aside is folded once, for those aggregates alone; first up to
where the live build is, then, with the build standing still, the rest. Rows, instance actions and
notes change in one transaction. It raises the partition's ``revision``, so that the projector opens
again and knows what is set aside no more. A crash halfway leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from events.log.contract import Log, TopicPartition
from events.log.records import Codec
from projections import aside, builds
from projections.actions import ActionLog
from projections.aside import Note, name_of, reason
from projections.builds import Build, Place
from projections.connection import Connection, connect, is_about_rows
from projections.failures import ProjectionDiffers, ProjectionNotReady
from projections.fold import Fold, Folded, Key
from projections.model import ReadModel, read_model
from projections.writer import Writer

QUIET_S_MAX = 30.0
RECORDS_MAX = 1000


class Healed(msgspec.Struct, frozen=True):
    """What a healing came to: the aggregates whose rows are right again, and the notes about those
    that still cannot be written."""

    healed: list[str]
    left: list[Note]


def heal(
    log: Log,
    database_url: str,
    progress: Callable[[int], None] = lambda events: None,
    *,
    model: ReadModel | None = None,
    codec: Codec | None = None,
) -> Healed:
    """Make the rows of all that is set aside again. ``progress(events)``: how many were read.

    Raises ``ProjectionNotReady``, ``ProjectionDiffers``, ``LogError`` or what ``connection.GONE``
    names.
    """
    model, codec = model or read_model(), codec or Codec()
    control = connect(database_url, "heal")
    try:
        builds.install(control)
        live = builds.live_build(control)
        if live is None or live.version != model.version():
            raise ProjectionNotReady("there is no live projection of this version to heal")
        healed: list[str] = []
        for source in sorted({_source(note) for note in aside.notes(control, live.schema)}):
            part = _Partition(log, control, live, source, model, codec, progress)
            healed += part.heal()
        return Healed(healed, aside.notes(control, live.schema))
    finally:
        control.close()


def _source(note: Note) -> TopicPartition:
    return (note.topic, note.partition)


class _Partition:
    """One partition's aggregates that are set aside."""

    def __init__(
        self,
        log: Log,
        control: Connection,
        live: Build,
        source: TopicPartition,
        model: ReadModel,
        codec: Codec,
        progress: Callable[[int], None],
    ) -> None:
        self._control = control
        self._live = live
        self._source = source
        self._writer = Writer(model)
        self._progress = progress
        notes = [n for n in aside.notes(control, live.schema) if _source(n) == source]
        self._notes = {note.name: note for note in notes}
        self._fold = Fold(model, codec, 0, only=self._is_meant)
        self._reader = log.reader({source: 0})
        self._place = Place()
        self._states: dict[Key, Folded] = {}
        self._failed: dict[Key, str] = {}
        self._actions = ActionLog()

    def heal(self) -> list[str]:
        """What was healed, by aggregate and id."""
        try:
            self._fold_until(builds.places(self._control, self._live.schema)[self._source])
            frozen = builds.freeze(self._control, self._live)[self._source]
            try:
                self._fold_until(frozen)
                healed = self._write()
            except BaseException:
                builds.rollback(self._control)
                raise
            with self._control.cursor() as cursor:
                cursor.execute("COMMIT")
            return healed
        finally:
            self._reader.close()

    def _is_meant(self, key: Key) -> bool:
        return name_of(*key) in self._notes

    def _fold_until(self, end: Place) -> None:
        name = f"{self._source[0]}/{self._source[1]}"
        while (at := self._reader.positions()[self._source]) < end.offset:
            records = self._reader.poll(QUIET_S_MAX, RECORDS_MAX)
            if not records and self._reader.positions()[self._source] == at:
                break
            taken = [record for record in records if record.offset < end.offset]
            if len(taken) < len(records):
                self._reader.seek(self._source, end.offset)
            reading = self._fold.read(taken, {self._source: self._place})
            for error in reading.broken.values():
                raise ProjectionDiffers(str(error))
            batch = self._fold.fold(reading.reads, self._states, reading.reached, self._actions)
            self._states.update(batch.touched)
            self._failed.update({key: n.error for key, n in batch.aside.items() if n.error})
            self._fold.keep(batch)
            self._place = reading.reached.get(self._source, self._place)
            self._progress(len(reading.reads))
        if self._place.position < end.position:
            raise ProjectionDiffers(f"{name} holds no event up to offset {end.offset}")

    def _write(self) -> list[str]:
        """Within the transaction in which the build stands still."""
        healed = []
        with self._control.cursor() as cursor:
            cursor.execute(f"SET LOCAL search_path TO {self._live.schema}")
            for key, folded in self._states.items():
                if key in self._failed:
                    continue
                cursor.execute("SAVEPOINT one")
                try:
                    actions = self._actions.of(key[1]) if key[0] == "server" else ActionLog()
                    self._writer.put(self._control, key, folded, actions)
                    cursor.execute("DELETE FROM set_aside WHERE name = %s", (name_of(*key),))
                    healed.append(f"{key[0]}/{key[1]}")
                except Exception as error:
                    if not is_about_rows(error):
                        raise
                    cursor.execute("ROLLBACK TO SAVEPOINT one; DEALLOCATE ALL")
                    self._writer.new_session()
                    self._failed[key] = reason(error)
            for key, error_text in self._failed.items():
                cursor.execute(
                    "UPDATE set_aside SET error = %s WHERE name = %s", (error_text, name_of(*key))
                )
            cursor.execute(
                "UPDATE positions SET revision = revision + 1 WHERE topic = %s AND partition = %s",
                self._source,
            )
        return healed

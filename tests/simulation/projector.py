"""The projections in memory: the projector's own fold, rows in dicts instead of Postgres.

A batch is taken over whole or not at all, with its position; a projector that starts anew has
only the rows, as the real one has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from events.log.contract import Record, TopicPartition
from events.log.records import Codec
from events.state_codec import decode_state, encode_state
from projections.builds import Place
from projections.fold import Fold, Folded, Key
from projections.model import read_model
from projections.table import Row
from projections.waiting import Reached

STATES_MAX = 8
"""A small cache, so that states come from rows as well."""


class Tables:
    """What Postgres would hold: by aggregate and id the row, the state and its sequence."""

    def __init__(self, sources: Sequence[TopicPartition], codec: Codec) -> None:
        self.model = read_model()
        self.codec = codec
        self.places: dict[TopicPartition, Place] = dict.fromkeys(sources, Place())
        self.rows: dict[Key, tuple[Row, bytes, int]] = {}
        self.shown: list[Reached] = []
        """Who waits, in processes of the API, until something shows."""
        self.begin()

    def begin(self) -> None:
        """A projector starts: nothing is known but the rows."""
        self._fold = Fold(self.model, self.codec, STATES_MAX)

    def starts(self) -> Mapping[TopicPartition, int]:
        """Where to read on."""
        return {source: place.offset for source, place in self.places.items()}

    def project(self, records: Sequence[Record]) -> None:
        """One batch, as ``projections.follower`` does it."""
        if not records:
            return
        reading = self._fold.read(records, self.places)
        for error in reading.broken.values():
            raise error
        reads = reading.reads
        loaded: dict[Key, Folded] = {}
        for name, ids in self._fold.needs(reads).items():
            type: Any = self.model.aggregates[name].state
            for id in ids:
                if (name, id) in self.rows:
                    _, state, sequence = self.rows[name, id]
                    loaded[name, id] = (decode_state(state, type), sequence)
        batch = self._fold.fold(reads, loaded, reading.reached)
        assert batch.aside == {}
        for (name, id), (state, sequence) in batch.touched.items():
            row = self.model.projected[name].row(state)
            self.rows[name, id] = (row, encode_state(state), sequence)
        self.places.update(batch.reached)
        self._fold.keep(batch)
        for reached in self.shown:
            reached.advance((source, place.position) for source, place in self.places.items())

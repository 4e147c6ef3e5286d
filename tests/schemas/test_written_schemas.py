"""Two versions of Chronova on one log read each other: writers' schemas lie in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.registry.shelf import Shelf
from events import topics
from events.log.contract import Log, LogError, LogUnavailable, Outgoing, Record, Topic
from events.log.memory import Cluster, Fault, MemoryLog
from events.log.records import BadRecord, Codec
from events.log.written_schemas import LookUpInLog, publish, written
from events.message import MESSAGES, UnknownMessage
from schemas.catalog import Catalog, OtherSchema, UnknownSchema, Version, id_of, load
from tests.schemas.evolving import NAME, Evolution, evolution, first, second, third


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(lambda: 1)
    MemoryLog(cluster=made).create_topics([Topic(topics.SCHEMAS, 1)])
    return made


class Side:
    """One version of Chronova: its classes are made when it writes or reads."""

    def __init__(self, evolving: Evolution, cluster: Cluster) -> None:
        self.evolving = evolving
        self.catalog = load(evolving.folder)
        self.log: Log = MemoryLog(cluster=cluster)
        self.catalog.look_up = LookUpInLog(lambda: MemoryLog(cluster=cluster), lambda: 0.0)
        self.codec = Codec(self.catalog)


def newer(tmp_path: Path, cluster: Cluster) -> tuple[Side, bytes]:
    """A version that knows ``third``, and what it writes."""
    with evolution(tmp_path / "newer") as evolving:
        (tmp_path / "newer").mkdir()
        for define in (first, second):
            evolving.commit(define)
        evolving.commit(third)
        side = Side(evolving, cluster)
        value = side.codec.encode(MESSAGES[NAME](**FIELDS, reason="disk"))
    return side, value


FIELDS = {"at": 1, "server_id": "s", "delay_s": 2, "delay_ms": 2001}


def test_an_older_version_reads_what_a_newer_one_wrote(
    tmp_path: Path, evolving: Evolution, cluster: Cluster
) -> None:
    side, value = newer(tmp_path, cluster)
    MESSAGES.clear()
    evolving.commit(first)
    older = Side(evolving, cluster)
    with pytest.raises(UnknownSchema):
        older.codec.read(value)
    assert publish(side.log, side.catalog) == 3
    older = Side(evolving, cluster)
    assert older.codec.read(value) == MESSAGES[NAME](at=1, server_id="s", delay_s=2)
    assert older.catalog.newest(NAME) == older.catalog.find(NAME, 1)


def test_what_is_there_is_not_written_twice(tmp_path: Path, cluster: Cluster) -> None:
    side, _ = newer(tmp_path, cluster)
    assert publish(side.log, side.catalog) == 3
    assert publish(side.log, side.catalog) == 0
    assert written(side.log) == side.catalog.versions()


def test_a_message_that_is_unknown_is_said_to_be(tmp_path: Path, cluster: Cluster) -> None:
    side, value = newer(tmp_path, cluster)
    publish(side.log, side.catalog)
    lacking = Catalog([])
    lacking.look_up = side.catalog.look_up
    with pytest.raises(UnknownMessage, match=NAME):
        Codec(lacking).read(value)


def test_what_cannot_be_resolved_is_a_bad_record(cluster: Cluster, evolving: Evolution) -> None:
    """A rule of change was broken by the other version: a field that is needed is gone."""
    evolving.commit(first)
    side = Side(evolving, cluster)
    schema = {**side.catalog.versions()[0].schema, "fields": []}
    publish(side.log, Catalog([Version(NAME, 9, 9, schema)]))
    with pytest.raises(BadRecord, match=f"does not fit schema {NAME}/9"):
        side.codec.read(bytes([0, 0, 0, 0, 9]))


def test_builds_that_gave_one_id_to_two_forms_do_not_mix(
    tmp_path: Path, cluster: Cluster, evolving: Evolution
) -> None:
    side, _ = newer(tmp_path, cluster)
    publish(side.log, side.catalog)
    evolving.commit(second)  # its version 1 has the form of the other's version 2
    with pytest.raises(OtherSchema, match=str(id_of(NAME, 1))):
        publish(side.log, load(evolving.folder))


def test_better_words_are_no_other_form(cluster: Cluster, evolving: Evolution) -> None:
    evolving.commit(first)
    side = Side(evolving, cluster)
    (version,) = side.catalog.versions()
    publish(side.log, Catalog([Version(NAME, 1, version.id, {**version.schema, "doc": "Else."})]))
    assert publish(side.log, side.catalog) == 0


def test_a_schema_that_was_missing_is_found_later(
    tmp_path: Path, cluster: Cluster, evolving: Evolution
) -> None:
    side, value = newer(tmp_path, cluster)
    MESSAGES.clear()
    evolving.commit(first)
    older, now, opened = Side(evolving, cluster), [0.0], [0]

    def opener() -> Log:
        opened[0] += 1
        return MemoryLog(cluster=cluster)

    older.catalog.look_up = LookUpInLog(opener, lambda: now[0])
    for _ in range(5):
        with pytest.raises(UnknownSchema):
            older.codec.read(value)
    assert opened == [1]
    publish(side.log, side.catalog)
    now[0] += 2.0
    assert older.codec.read(value)


def test_an_outage_passes(tmp_path: Path, cluster: Cluster) -> None:
    side, _ = newer(tmp_path, cluster)
    publish(side.log, side.catalog)
    answers: list[Log | None] = [None, side.log]

    def opener() -> Log:
        log = answers.pop(0)
        if log is None:
            raise LogUnavailable("not now")
        return log

    assert LookUpInLog(opener).find(id_of(NAME, 3)) == side.catalog.newest(NAME)


def test_what_is_no_schema_is_passed_over(tmp_path: Path, cluster: Cluster) -> None:
    side, _ = newer(tmp_path, cluster)
    side.log.append([Outgoing(topics.SCHEMAS, "k", b"{}", {}, 0)])
    publish(side.log, side.catalog)
    assert written(side.log) == side.catalog.versions()


def test_who_may_not_write_is_told_who_can(tmp_path: Path) -> None:
    cluster = Cluster(lambda: 1, faults=lambda op: Fault.REFUSED if op.name == "append" else None)
    MemoryLog(cluster=cluster).create_topics([Topic(topics.SCHEMAS, 1)])
    side, _ = newer(tmp_path, cluster)
    with pytest.raises(LogError, match="`chronova topics create` of this version writes them"):
        publish(side.log, side.catalog)


def test_the_form_in_the_log(tmp_path: Path, cluster: Cluster) -> None:
    """Other versions and strangers read it: it never changes."""
    side, _ = newer(tmp_path, cluster)
    publish(side.log, side.catalog)
    with_reader = side.log.reader({(topics.SCHEMAS, 0): 0})
    record: Record = with_reader.poll(0)[0]
    known = side.catalog.versions()[0]
    assert record.key == known.subject == f"{NAME}/1"
    assert json.loads(record.value) == {
        "message": NAME,
        "version": 1,
        "id": id_of(NAME, 1),
        "schema": known.schema,
    }


def test_the_registry_shows_what_others_wrote_down(
    tmp_path: Path, cluster: Cluster, evolving: Evolution
) -> None:
    side, _ = newer(tmp_path, cluster)
    publish(side.log, side.catalog)
    MESSAGES.clear()
    evolving.commit(first)
    shelf = Shelf(Side(evolving, cluster).catalog, MESSAGES)
    subject = shelf.subjects().get(f"chronova.{NAME}")
    assert subject is not None
    assert [version.version for version in subject.versions] == [1, 2, 3]
    assert shelf.subjects().of_id(id_of(NAME, 3))
    assert shelf.subjects() is shelf.subjects()

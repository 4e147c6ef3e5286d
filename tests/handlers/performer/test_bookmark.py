from __future__ import annotations

from pathlib import Path

from events.log.contract import Record
from handlers.performer.bookmark import Bookmark, KeptInFile

TOPIC = "compute.dispatch.h"


def record(offset: int, id: str = "") -> Record:
    id = id or f"compute.events/0/{offset + 1}>0"
    return Record(TOPIC, 0, offset, 0, "h", b"", {"ce_id": id})


def opened(path: Path) -> Bookmark:
    return Bookmark(KeptInFile(path), [TOPIC])


def read(bookmark: Bookmark, *records: Record) -> list[bool]:
    return [bookmark.admits(one) for one in records]


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    assert one.starts() == {TOPIC: 0}
    assert read(one, record(0), record(1)) == [True, True]
    one.save()
    two = opened(tmp_path / "b")
    assert two.starts() == {TOPIC: 1}, "the last record shows whether the topic is the same"
    assert not two.is_foreign(record(1))
    assert read(two, record(1), record(2)) == [False, True]


def test_pieces_that_have_not_ended_are_taken_again_and_no_others(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    read(one, record(0), record(1), record(2))
    for offset in (0, 1, 2):
        one.begin(TOPIC, offset)
    one.settle(TOPIC, 0)
    one.settle(TOPIC, 2)
    one.save()
    two = opened(tmp_path / "b")
    assert two.starts() == {TOPIC: 1}
    assert read(two, record(1), record(2), record(3)) == [True, False, True]


def test_a_delivery_is_taken_once(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    first, again = record(0, "compute.events/3/120>0"), record(1, "compute.events/3/120>0")
    assert read(one, first, again) == [True, False]
    assert read(one, record(2, "compute.events/3/120>1")) == [True]
    assert read(one, record(3, "compute.events/4/7>0")) == [True], "of another partition"
    one.save()
    two = opened(tmp_path / "b")
    assert read(two, record(4, "compute.events/3/119>0")) == [False]


def test_what_follows_from_no_event_is_always_taken(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    assert read(one, record(0, "x"), record(1, "x")) == [True, True]


def test_another_topic_of_the_same_name_shows(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    read(one, record(0), record(1))
    one.save()
    two = opened(tmp_path / "b")
    assert two.ahead(TOPIC, 1)
    assert not two.ahead(TOPIC, 2)
    assert two.is_foreign(record(1, "compute.events/0/77>0"))
    two.forget(TOPIC)
    assert two.starts() == {TOPIC: 0}
    assert read(two, record(0)) == [True]


def test_a_restored_topic_that_has_grown_again_shows(tmp_path: Path) -> None:
    """Positions count on from lower numbers then: another record has the id of one that is lost."""
    one = opened(tmp_path / "b")
    read(one, record(0), record(1))
    one.save()
    same_place = record(1)
    other = Record(TOPIC, 0, 1, 0, "h", b"other work", same_place.headers)
    assert opened(tmp_path / "b").is_foreign(other)


def test_a_topic_whose_old_records_are_gone_is_read_again(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    read(one, record(0))
    one.save()
    assert opened(tmp_path / "b").is_foreign(record(5))


def test_a_torn_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b'{"compute.disp')
    assert opened(tmp_path / "b").starts() == {TOPIC: 0}


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    one = opened(tmp_path / "b")
    assert not one.save()
    read(one, record(0))
    assert one.save()
    assert not one.save()

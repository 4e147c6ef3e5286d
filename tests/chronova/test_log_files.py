"""Logs rotate under processes that hold them open."""

from __future__ import annotations

from pathlib import Path

from chronova.log_files import rotate


def test_a_large_log_is_cut_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "api.log"
    log.parent.mkdir()
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d\n" % number * 100)
            assert rotate(tmp_path, 100, 2) == [log]
            assert log.read_bytes() == b""
        writer.write(b"goes on\n")
    assert rotate(tmp_path, 100, 2) == []
    assert log.read_text() == "goes on\n"
    contents = {path.name: path.read_bytes()[:1] for path in log.parent.iterdir()}
    assert contents == {"api.log": b"g", "api.log.1": b"4", "api.log.2": b"3"}


def test_those_of_postgres_and_the_broker_too(tmp_path: Path) -> None:
    logs = [tmp_path / "postgres" / "postgres.log", tmp_path / "kafka" / "broker.log"]
    for log in logs:
        log.parent.mkdir()
        log.write_bytes(b"x" * 200)
    assert rotate(tmp_path, 100, 1) == logs


def test_none_are_kept_where_none_are_wanted(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "api.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 200)
    rotate(tmp_path, 100, 0)
    assert [path.name for path in log.parent.iterdir()] == ["api.log"]


def test_without_room_for_a_copy_it_is_cut_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "api.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 200)
    (tmp_path / "logs" / "api.log.1").symlink_to("/dev/full")
    rotate(tmp_path, 100, 1)
    assert log.read_bytes() == b""
    assert not (tmp_path / "logs" / "api.log.1").exists()

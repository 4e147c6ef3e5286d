"""The embedded Postgres: starting, stopping, surviving, and keeping others out."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import psutil
import psycopg2
import pytest

from chronova.embedded.postgres import EmbeddedPostgres, PostgresFailed, reason_of

STRANGER = 54321
"""A user id that nobody has."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not pytest's: that one's path is too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="chronova-test-") as path:
        yield Path(path)
        EmbeddedPostgres(Path(path)).stop()


def ask(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def test_it_starts_once_and_keeps_its_data(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "pg")
    try:
        url = server.start()
        pid = server.pid
        assert EmbeddedPostgres(directory / "pg").start() == url
        assert (server.pid, pid is not None) == (pid, True)
        ask(url, "CREATE TABLE kept AS SELECT 7 AS seven")
        server.stop()
        assert server.pid is None
        server.stop()
        server.start()
        assert ask(url, "SELECT seven FROM kept") == (7,)
        server.kill()
        assert server.pid is None
        server.start()
        assert ask(url, "SELECT seven FROM kept") == (7,)
    finally:
        server.stop()


def test_several_may_start_it_at_once(directory: Path) -> None:
    servers = [EmbeddedPostgres(directory / "pg") for _ in range(3)]
    try:
        with ThreadPoolExecutor(3) as threads:
            urls = set(threads.map(EmbeddedPostgres.start, servers))
        assert len(urls) == 1
        assert ask(urls.pop(), "SELECT 1") == (1,)
    finally:
        servers[0].stop()


def test_it_outlives_who_started_it(directory: Path) -> None:
    code = (
        "import sys; from chronova.embedded.postgres import EmbeddedPostgres;"
        "print(EmbeddedPostgres(sys.argv[1]).start())"
    )
    path = directory / "pg"
    started = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    server = EmbeddedPostgres(path)
    try:
        assert ask(started.stdout.strip(), "SELECT 1") == (1,)
    finally:
        server.stop()


def test_a_deep_directory_has_its_socket_elsewhere(directory: Path) -> None:
    server = EmbeddedPostgres(directory.joinpath(*["a-rather-long-name"] * 6))
    try:
        url = server.start()
        assert ask(url, "SELECT 1") == (1,)
        socket_folder = Path(unquote(url.partition("host=")[2]))
        assert not socket_folder.is_relative_to(directory)
    finally:
        server.stop()
    assert not socket_folder.exists()


def test_tcp_needs_the_password(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = EmbeddedPostgres(directory / "pg", port=port)
    try:
        server.start()
        assert ask(server.tcp_url, "SELECT 1") == (1,)
        with pytest.raises(psycopg2.OperationalError, match="password"):
            ask(f"postgresql://postgres@127.0.0.1:{port}/postgres", "SELECT 1")
    finally:
        server.stop()


def test_a_password_that_is_missing_is_made_anew(directory: Path) -> None:
    """A backup holds none. The one of before opens the copy no more."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server, file = EmbeddedPostgres(directory / "pg", port=port), directory / "pg" / "password"
    try:
        server.start()
        before = server.tcp_url
        server.stop()
        file.unlink()
        server.start()
        assert server.tcp_url != before
        assert ask(server.tcp_url, "SELECT 1") == (1,)
        assert file.stat().st_mode & 0o077 == 0
        with pytest.raises(psycopg2.OperationalError, match="password"):
            ask(before, "SELECT 1")
    finally:
        server.stop()


def test_its_files_are_closed_to_others(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "pg")
    try:
        server.start()
        for name in ("", "run", "cluster"):
            assert (directory / "pg" / name).stat().st_mode & 0o077 == 0
        assert (directory / "pg" / "password").stat().st_mode & 0o077 == 0
        with pytest.raises(PostgresFailed, match="port"):
            assert server.tcp_url
    finally:
        server.stop()


def test_a_failure_says_what_postgres_said(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "pg", settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed, match="shared_buffers"):
        server.start()
    assert server.pid is None


def test_the_reason_is_in_the_first_line(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "pg", settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed) as caught:
        server.start()
    assert "invalid value for parameter" in str(caught.value).splitlines()[0]
    assert reason_of("2026-01-01 10:00:00.123 UTC [7] FATAL:  no room\n") == "FATAL:  no room"


def test_it_starts_at_once_after_its_server_alone_was_killed(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "pg")
    try:
        url = server.start()
        ask(url, "CREATE TABLE kept AS SELECT 7 AS seven")
        connection = psycopg2.connect(url)  # its process notices the end only a little later
        assert server.pid is not None
        postmaster = psutil.Process(server.pid)
        postmaster.kill()
        postmaster.wait(10)
        assert ask(server.start(), "SELECT seven FROM kept") == (7,)
        connection.close()
    finally:
        server.stop()


def test_a_stale_number_that_is_another_process_keeps_nobody_from_starting(
    directory: Path,
) -> None:
    server = EmbeddedPostgres(directory / "pg")
    try:
        server.start()
        server.kill()
        lock_file = server.cluster / "postmaster.pid"
        lock_file.write_text(f"{os.getpid()}\n{server.cluster}\n1\n5432\n\n\n 1 1\nready\n")
        assert server.pid is None
        assert ask(server.start(), "SELECT 1") == (1,)
    finally:
        server.stop()


def test_a_socket_lock_that_was_left_keeps_nobody_from_starting(directory: Path) -> None:
    """A server that ended cleanly left it where its user may not pass the folders above; its number
    is another process's of that user by now."""
    server = EmbeddedPostgres(directory / "pg")
    try:
        server.start()
        server.stop()
        owner = directory.joinpath("pg").stat().st_uid
        with subprocess.Popen(["sleep", "600"], user=owner) as stranger:
            left = directory / "pg" / "run" / ".s.PGSQL.5432.lock"
            left.write_text(f"{stranger.pid}\n{server.cluster}\n1\n5432\n{left.parent}\n")
            left.with_suffix("").touch()
            try:
                assert ask(server.start(), "SELECT 1") == (1,)
                assert stranger.poll() is None
            finally:
                stranger.kill()
    finally:
        server.stop()


def test_a_copy_of_a_running_one_is_a_server_of_its_own(directory: Path) -> None:
    original, copy = EmbeddedPostgres(directory / "pg"), EmbeddedPostgres(directory / "copy")
    try:
        ask(original.start(), "CREATE TABLE kept AS SELECT 7 AS seven")
        ask(original.url, "CHECKPOINT")
        copied = ["cp", "-a", str(original.directory), str(copy.directory)]
        subprocess.run(copied, check=True, stderr=subprocess.DEVNULL, timeout=60)
        assert copy.pid is None
        ask(copy.start(), "UPDATE kept SET seven = 8")
        assert copy.pid != original.pid
        assert ask(original.url, "SELECT seven FROM kept") == (7,)
        copy.stop()
        assert original.pid is not None
    finally:
        copy.stop()
        original.stop()


def test_it_runs_below_a_closed_folder_and_leaves_it_closed(directory: Path) -> None:
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "pg")
    try:
        assert ask(server.start(), "SELECT 1") == (1,)
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()


@pytest.fixture
def far(directory: Path) -> Iterator[tuple[EmbeddedPostgres, Path]]:
    """A server whose socket lies below /tmp, where everybody may make a folder; that folder."""
    server = EmbeddedPostgres(directory.joinpath(*["a-rather-long-name"] * 6))
    folder = Path(unquote(server.url.partition("host=")[2]))
    assert not folder.is_relative_to(directory)
    yield server, folder
    server.stop()
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_socket_folder_of_another_user_is_refused(
    far: tuple[EmbeddedPostgres, Path], mode: int
) -> None:
    server, folder = far
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, STRANGER, STRANGER)
    with pytest.raises(PostgresFailed, match="belongs to another user"):
        server.start()
    seen = folder.stat()
    assert (seen.st_uid, seen.st_mode & 0o777) == (STRANGER, mode), "it is left as it was"
    assert list(folder.iterdir()) == [] and server.pid is None


def test_a_link_in_the_place_of_the_socket_folder_is_refused(
    far: tuple[EmbeddedPostgres, Path], directory: Path
) -> None:
    server, folder = far
    folder.symlink_to(directory)
    with pytest.raises(PostgresFailed, match="no folder"):
        server.start()
    assert directory.lstat().st_uid == os.geteuid()


def test_a_backup_can_be_taken_of_it(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "pg")
    try:
        assert ask(server.start(), "SHOW wal_level") == ("replica",)
        assert ask(server.url, "SELECT current_setting('max_wal_senders')::int > 1") == (True,)
    finally:
        server.stop()


def test_a_half_made_cluster_is_made_anew(directory: Path) -> None:
    path = directory / "pg"
    (path / "cluster").mkdir(parents=True)
    (path / "cluster" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(path)
    try:
        assert ask(server.start(), "SELECT 1") == (1,)
    finally:
        server.stop()

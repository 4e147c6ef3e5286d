"""The embedded Postgres: starting, stopping, surviving, and keeping others out."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import psycopg2
import pytest

from chronova.embedded.postgres import EmbeddedPostgres, PostgresFailed


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


def test_a_half_made_cluster_is_made_anew(directory: Path) -> None:
    path = directory / "pg"
    (path / "cluster").mkdir(parents=True)
    (path / "cluster" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(path)
    try:
        assert ask(server.start(), "SELECT 1") == (1,)
    finally:
        server.stop()

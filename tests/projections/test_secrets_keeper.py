"""The keeper of secrets forgets what is deleted, whatever died in between, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from api.compute.secret_store import SecretStore, SecretsUnreadable
from chronova.secrets_keeper import ORPHAN_S, SecretsKeeper
from commands.compute.secrets_request import Secrets
from events.compute.server import SecretsRef
from events.log.postgres import PostgresLog
from events.message import Event
from projections import live
from projections.builds import Place, Places
from projections.connection import Connection
from projections.projector import Projector
from projections.rebuild import rebuild
from tests.projections.recorder import START, Recorder, boot, deletion
from tests.projections.tables import follower, new_build
from tests.projections.test_projector import EVENTS, running, until

ONE, TWO = "5a5f1c7e-0000-4000-8000-000000000001", "5a5f1c7e-0000-4000-8000-000000000002"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def store(root: Path) -> SecretStore:
    return SecretStore(root)


@pytest.fixture
def keeper(root: Path, url: str) -> SecretsKeeper:
    return SecretsKeeper(root, url)


def put(store: SecretStore, *server_ids: str) -> SecretsRef:
    return store.put(server_ids, Secrets(user_data="ZGF0YQ=="))


def keeps(store: SecretStore, ref: SecretsRef, server_id: str) -> bool:
    try:
        return store.open(ref.secrets_id, server_id).user_data == "ZGF0YQ=="
    except SecretsUnreadable:
        return False


def booted(server_id: str, ref: SecretsRef) -> list[Event]:
    first, *rest = boot(server_id)
    return [msgspec.structs.replace(first, secrets=ref), *rest]


def shown(url: str) -> dict[str, bool]:
    """Whether each server of the tables is deleted."""
    engine = live.engine(url, 1)
    try:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT id, deleted FROM servers"))
            return {str(row.id): bool(row.deleted) for row in rows}
    except Exception:  # noqa: BLE001 - there are no tables yet
        return {}
    finally:
        engine.dispose()


def swept(keeper: SecretsKeeper, url: str) -> int:
    engine = live.engine(url, 1)
    with closing(engine.raw_connection()) as connection:
        try:
            return keeper.sweep(connection)
        finally:
            engine.dispose()


@contextmanager
def at_work(keeper: SecretsKeeper) -> Iterator[None]:
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        yield
    finally:
        keeper.stop()
        thread.join(10)
        assert not thread.is_alive()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def aged(root: Path, seconds: float) -> None:
    for path in root.rglob("*"):
        at = time.time() - seconds
        os.utime(path, (at, at))


def test_a_deletion_that_shows_is_carried_out(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    one, two = put(store, ONE), put(store, TWO)
    with running(Projector(log, url, listener=keeper)), at_work(keeper):
        recorder.append([*booted(ONE, one), *booted(TWO, two)])
        until(lambda: shown(url) == {ONE: False, TWO: False})
        until(lambda: keeper._sweep_at > time.monotonic() + 60)  # the next sweep is not it
        assert keeps(store, one, ONE) and keeps(store, two, TWO)
        recorder.append(deletion(ONE, START + 100))
        until(lambda: not keeps(store, one, ONE))
    assert keeps(store, two, TWO)
    assert len(files(store._sealed)) == len(files(store._keys)) == 1


def test_what_a_dead_projector_left_is_swept_by_the_next(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    """The deletion was committed, and the process killed before the key was dropped."""
    one, two, both = put(store, ONE), put(store, TWO), [ONE, TWO]
    recorder.append([*booted(ONE, one), *booted(TWO, two), *deletion(ONE, START + 100)])
    with running(Projector(log, url)):  # it tells nobody
        until(lambda: sorted(shown(url)) == both)
    assert keeps(store, one, ONE)
    with at_work(keeper), running(Projector(log, url, listener=keeper)):
        until(lambda: not keeps(store, one, ONE))
    assert keeps(store, two, TWO)
    assert swept(keeper, url) == 0


def test_a_rebuild_changes_nothing(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    one, two = put(store, ONE), put(store, TWO)
    recorder.append([*booted(ONE, one), *booted(TWO, two), *deletion(ONE, START + 100)])
    rebuild(log, url)
    keeper.level(time.time(), {})
    assert swept(keeper, url) == 1
    rebuild(log, url)
    aged(store._sealed.parent, 10 * ORPHAN_S)
    keeper.level(time.time(), {})
    assert swept(keeper, url) == 0
    assert keeps(store, two, TWO) and not keeps(store, one, ONE)


def test_what_no_server_has_goes_when_none_can_come(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    """The process died between storing and sending; or the answer never came."""
    lost, lives = put(store, ONE), put(store, TWO)
    recorder.append(booted(TWO, lives))
    rebuild(log, url)
    keeper.level(time.time(), {})
    assert swept(keeper, url) == 0, "it may still be decided"
    aged(store._sealed.parent, ORPHAN_S + 60)
    keeper.level(time.time() - 120, {})
    assert swept(keeper, url) == 0, "the tables may lack the server"
    assert keeps(store, lost, ONE)
    keeper.level(time.time(), {})
    assert swept(keeper, url) == 1
    assert not keeps(store, lost, ONE)
    assert keeps(store, lives, TWO)
    assert len(files(store._sealed.parent)) == 2


def test_tables_of_before_are_not_believed(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    """Log or tables were restored from an older copy: servers may be missing, or dead too early."""
    one, two = put(store, ONE), put(store, TWO)
    recorder.append([*booted(ONE, one), *deletion(ONE, START + 100)])
    rebuild(log, url)
    aged(store._sealed.parent, ORPHAN_S + 60)
    assert swept(keeper, url) == 0, "nobody has compared log and tables yet"
    keeper.level(time.time(), {(EVENTS, 0): Place(position=len(booted(ONE, one)) + 3)})
    assert swept(keeper, url) == 0
    assert keeps(store, one, ONE) and keeps(store, two, TWO)
    keeper.level(time.time(), {(EVENTS, 0): Place(position=len(booted(ONE, one)) + 2)})
    assert swept(keeper, url) == 2


def test_servers_of_a_request_that_never_were(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    """Quota allowed one of two."""
    ref = put(store, ONE, TWO)
    recorder.append(booted(ONE, ref))
    rebuild(log, url)
    aged(store._sealed.parent, ORPHAN_S + 60)
    keeper.level(time.time(), {})
    assert swept(keeper, url) == 1
    assert keeps(store, ref, ONE) and not keeps(store, ref, TWO)


def test_an_id_that_is_used_again_keeps_its_own(
    url: str, log: PostgresLog, recorder: Recorder, store: SecretStore, keeper: SecretsKeeper
) -> None:
    first, second = put(store, ONE), put(store, ONE)
    recorder.append([*booted(ONE, first), *deletion(ONE, START + 100)])
    recorder.forget(ONE)
    recorder.append(booted(ONE, second))
    with running(Projector(log, url, listener=keeper)):
        until(lambda: shown(url) == {ONE: False})
    aged(store._sealed.parent, ORPHAN_S + 60)
    keeper.level(time.time(), {})
    swept(keeper, url)
    assert keeps(store, second, ONE) and not keeps(store, first, ONE)


def test_tables_hold_what_was_read_and_no_more(
    url: str, log: PostgresLog, control: Connection, recorder: Recorder
) -> None:
    one = follower(log, url, new_build(control, log), records_max=2)
    recorder.append(boot(ONE))
    ends = log.ends(one.sources)
    held = []
    while one.behind():
        held.append(one.holds(ends))
        one.step(1.0)
    assert len(held) == 3 and not any(held)
    assert one.holds(ends)
    one.close()


def test_the_projector_tells_when_its_tables_have_all(
    url: str, log: PostgresLog, recorder: Recorder
) -> None:
    told: list[tuple[float, int]] = []

    class Listener:
        committed: Callable[[object], None] = staticmethod(lambda batch: None)

        def level(self, since_s: float, places: Places) -> None:
            told.append((since_s, places[EVENTS, 0].position))

    before = time.time()
    recorder.append(boot(ONE))
    with running(Projector(log, url, listener=Listener())):
        until(lambda: bool(told))
    assert before < told[0][0] <= time.time()
    assert told[0][1] == len(boot(ONE))

"""The store of secrets: a key for each server, nothing readable without it, crashes anywhere."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from api.compute import secret_store
from api.compute.secret_store import SecretsNotStored, SecretStore, SecretsUnreadable
from commands.compute.secrets_request import Secrets
from events.compute.server import SecretsRef

ONE, TWO = "5a5f1c7e-0000-4000-8000-000000000001", "5a5f1c7e-0000-4000-8000-000000000002"
KEPT = Secrets(user_data="dXNlciBkYXRh" * 100, admin_password="correct horse")


class Died(BaseException):
    """The process was killed."""


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def opened(store: SecretStore, ref: SecretsRef, server_id: str) -> Secrets:
    return store.open(ref.secrets_id, server_id)


def test_what_is_stored_is_read_and_nothing_shows_it(tmp_path: Path) -> None:
    store = SecretStore(tmp_path / "secrets")
    ref = store.put([ONE], KEPT)
    assert ref.user_data
    assert not store.put([ONE], Secrets(admin_password="x")).user_data
    assert opened(store, ref, ONE) == KEPT
    for path in files(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for plain in (b"dXNlciBkYXRh", b"user data", b"correct horse"):
            assert plain not in path.read_bytes()


def test_a_dropped_key_leaves_nothing_to_read_a_copy_with(tmp_path: Path) -> None:
    """Who kept a copy of all that is encrypted has no key for it afterwards."""
    store, copy = SecretStore(tmp_path / "secrets"), tmp_path / "copy"
    ref, other = store.put([ONE], KEPT), store.put([TWO], KEPT)
    shutil.copytree(tmp_path / "secrets" / "sealed", copy / "sealed")
    store.drop(ref.secrets_id, ONE)
    store.drop(ref.secrets_id, ONE)
    with pytest.raises(SecretsUnreadable, match="are gone"):
        opened(store, ref, ONE)
    assert opened(store, other, TWO) == KEPT
    whole = msgspec.msgpack.decode(
        (copy / "sealed" / ref.secrets_id[:2] / ref.secrets_id).read_bytes(),
        type=secret_store.Sealed,
    )
    left = [path.read_bytes() for path in files(tmp_path / "secrets" / "keys")]
    assert len(left) == 1
    for key in left:
        for server_id in whole.keys:
            with pytest.raises(InvalidTag):
                secret_store._open(whole, server_id, key)
    store.drop(other.secrets_id, TWO)
    assert files(tmp_path / "secrets") == []


def test_a_key_is_overwritten_where_it_lies(tmp_path: Path) -> None:
    """A second name of the file shows what became of its contents."""
    store = SecretStore(tmp_path / "secrets")
    ref = store.put([ONE], KEPT)
    (key,) = files(tmp_path / "secrets" / "keys")
    os.link(key, tmp_path / "second-name")
    store.drop(ref.secrets_id, ONE)
    assert (tmp_path / "second-name").read_bytes() == bytes(32)


def test_servers_of_one_request_have_keys_of_their_own(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    ref = store.put([ONE, TWO], KEPT)
    keys = {path.read_bytes() for path in files(tmp_path / "keys")}
    assert len(keys) == 2
    store.drop(ref.secrets_id, ONE)
    with pytest.raises(SecretsUnreadable):
        opened(store, ref, ONE)
    assert opened(store, ref, TWO) == KEPT


def test_one_servers_key_does_not_open_under_another_ones_name(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    ref = store.put([ONE, TWO], KEPT)
    one, two = files(tmp_path / "keys")
    two.write_bytes(one.read_bytes())
    with pytest.raises(SecretsUnreadable):
        opened(store, ref, TWO)


def test_what_was_changed_is_not_believed(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    ref, other = store.put([ONE], KEPT), store.put([TWO], KEPT)
    path = tmp_path / "sealed" / ref.secrets_id[:2] / ref.secrets_id
    path.write_bytes((tmp_path / "sealed" / other.secrets_id[:2] / other.secrets_id).read_bytes())
    with pytest.raises(SecretsUnreadable, match="not what was stored"):
        opened(store, ref, ONE)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "", ".", ".."])
def test_no_name_leaves_the_store(tmp_path: Path, name: str) -> None:
    store = SecretStore(tmp_path / "secrets")
    ref = store.put([ONE], KEPT)
    for secrets_id, server_id in ((name, ONE), (ref.secrets_id, name)):
        with pytest.raises((SecretsUnreadable, ValueError)):
            store.open(secrets_id, server_id)
        with pytest.raises(ValueError):
            store.drop(secrets_id, server_id)
    assert opened(store, ref, ONE) == KEPT


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> bool:
    """Die before the ``step``-th change of the file system; whether there were so many."""
    count = 0

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def change(*given: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                raise Died
            return real(*given, **named)

        return change

    with monkeypatch.context() as patched:
        for name in ("open", "fsync"):
            patched.setattr(os, name, dying(getattr(os, name)))
        for name in ("mkdir", "unlink", "rmdir"):
            patched.setattr(Path, name, dying(getattr(Path, name)))
        try:
            run()
        except Died:
            return True
    return False


def test_killed_at_any_step_of_a_drop_it_is_only_dropped_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, died = 0, True
    while died:
        step += 1
        store = SecretStore(tmp_path / str(step))
        ref = store.put([ONE], KEPT)
        died = killed_at(step, monkeypatch, partial(store.drop, ref.secrets_id, ONE))
        held = list(store.held())
        assert held or files(tmp_path / str(step)) == [], "a sweep must find what is left"
        for one in held:
            assert one.secrets_id == ref.secrets_id
            store.drop(one.secrets_id, ONE)
        assert files(tmp_path / str(step)) == []
    assert step > 4


def test_killed_at_any_step_of_storing_a_sweep_finds_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, died = 0, True
    while died:
        step += 1
        store = SecretStore(tmp_path / str(step))
        died = killed_at(step, monkeypatch, partial(store.put, [ONE, TWO], KEPT))
        for one in list(store.held()):
            store.drop_all(one.secrets_id)
        assert files(tmp_path / str(step)) == []
    assert step > 8


def test_a_store_that_is_full_keeps_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(SecretsNotStored, match="No space left"):
            SecretStore(tmp_path).put([ONE], KEPT)
    assert [path for path in files(tmp_path) if path.read_bytes().strip(b"\0")] == []

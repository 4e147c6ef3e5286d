"""Sealed secrets, and the key they are sealed with."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from api.compute.sealing import PASSWORD_CHARACTERS, Sealer, Unsealable, _make, sealer


def test_only_the_key_opens() -> None:
    keeper = Sealer(Fernet.generate_key())
    sealed = keeper.seal("secret")
    assert "secret" not in sealed
    assert keeper.open(sealed) == "secret"
    with pytest.raises(Unsealable):
        Sealer(Fernet.generate_key()).open(sealed)


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "host.key"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_make, [path] * 16))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sealer(path).open(sealer(path).seal("x")) == "x"
    assert [p.name for p in path.parent.iterdir()] == ["host.key"]


def test_passwords() -> None:
    keeper = Sealer(Fernet.generate_key())
    assert keeper.password(12) != keeper.password(12)
    assert keeper.password(12, "p/k") == keeper.password(12, "p/k")
    assert keeper.password(12, "p/k") != keeper.password(12, "p/l")
    assert len(keeper.password(20, "p")) == 20
    assert set(keeper.password(500)) <= set(PASSWORD_CHARACTERS)


def test_fingerprints_need_the_key() -> None:
    one, two = Sealer(Fernet.generate_key()), Sealer(Fernet.generate_key())
    assert one.fingerprint(b"x") == one.fingerprint(b"x")
    assert one.fingerprint(b"x") != two.fingerprint(b"x")

"""The doctor sees what others could reach."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chronova.doctor import strangers
from chronova.embedded.broker_properties import write
from chronova.settings import Settings


def test_modes(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    snapshot = tmp_path / "snapshot"
    snapshot.touch(mode=0o600)
    assert strangers.modes(tmp_path, [snapshot]).verdict == "ok"
    snapshot.chmod(0o644)
    found = strangers.modes(tmp_path, [snapshot])
    assert found.verdict == "failed"
    assert str(snapshot) in found.seen
    tmp_path.chmod(0o700)
    assert strangers.modes(tmp_path, [snapshot]).verdict == "warning"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    settings = Settings(data=str(tmp_path))
    assert strangers.owners(settings, [file]).verdict == "ok"
    os.chown(file, 12345, 12345)
    assert strangers.owners(settings, [file]).verdict == "failed"


def test_a_broker_without_a_password(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), log="embedded")
    folder = tmp_path / "kafka"
    folder.mkdir()
    assert list(strangers.broker_password(Settings(data=str(tmp_path)))) == []
    write(folder, 0, {}, "", may_move=False)
    assert [f.verdict for f in strangers.broker_password(settings)] == ["failed"]
    write(folder, 0, {}, "secret", may_move=False)
    assert [f.verdict for f in strangers.broker_password(settings)] == ["ok"]


def test_listeners() -> None:
    near = [("api", "127.0.0.1", 8774), ("broker", "::1", 9092)]
    assert strangers.listeners(near).verdict == "ok"
    found = strangers.listeners([*near, ("api", "0.0.0.0", 8774)])
    assert found.verdict == "warning"
    assert found.seen.endswith("api on 0.0.0.0:8774")

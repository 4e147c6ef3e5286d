"""A process of the control plane checks hosts' proofs with the site's key, or does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronova import cli, topic_verbs
from chronova.connections import check_proofs, make_keys
from chronova.host_keys import HostKey
from chronova.settings import Settings, SettingsError
from events import topics
from events.fleet.heartbeat import Heartbeat
from events.host_proof import SITE, HostProofs, Unproved, report_key
from events.log.contract import Outgoing
from events.log.memory import Cluster, MemoryLog
from events.log.records import Codec
from tests.parts.proofs import taken

BEAT = Heartbeat(host="h1", at=1, started_at=1)


def test_without_the_key_it_does_not_start(tmp_path: Path) -> None:
    """A key that it made would be another than that of the other machines."""
    settings = Settings(data=str(tmp_path))
    with pytest.raises(SettingsError, match=r"host-proof\.key is missing: copy it"):
        check_proofs(settings)
    assert list(tmp_path.iterdir()) == []
    make_keys(settings)
    check_proofs(settings)


def test_what_is_not_believed_is_counted(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    make_keys(settings)
    counted: list[str] = []
    check_proofs(settings, counted.append)
    key = HostKey(b"k" * 32)
    master = (tmp_path / "host-proof.key").read_bytes()
    plain = Outgoing(topics.HEARTBEATS, "h1", Codec().encode(BEAT))
    for given, believed in ((master, True), (b"x" * 32, False)):
        proofs = HostProofs({"h1": key}, {"h1": report_key(given, "h1", key.public)})
        (record,) = taken([proofs.add(plain, BEAT)])
        if believed:
            SITE.check(record, BEAT)
        else:
            with pytest.raises(Unproved):
                SITE.check(record, BEAT)
    assert counted == [topics.HEARTBEATS]


def test_the_first_topics_of_a_site_come_with_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roles start after ``topics create``. Later it makes none: this may be another machine."""
    cluster = Cluster(lambda: 0)
    monkeypatch.setenv("CHRONOVA_LOG", "kafka://127.0.0.1:1")
    monkeypatch.setattr(
        "chronova.connections.open_site_log", lambda settings: MemoryLog(cluster=cluster)
    )
    for name, expected in (("first", True), ("second", False)):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(cli.State, "data", str(tmp_path / name))
        topic_verbs.create_topics()
        assert (tmp_path / name / "host-proof.key").exists() is expected

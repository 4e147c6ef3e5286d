"""How to read the log with Kafka's own tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronova import broker_access
from chronova.embedded.broker_properties import client_options, read, write
from chronova.settings import Settings


def test_a_site_on_postgres_has_no_broker(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), database="embedded")
    assert broker_access.lines(settings) == []
    assert broker_access.addresses(settings) == ""
    broker_access.write(settings)
    assert list(tmp_path.iterdir()) == []


def test_lines_to_paste_name_files_with_the_password(tmp_path: Path) -> None:
    data = tmp_path / "a site"
    folder = data / "kafka"
    folder.mkdir(parents=True)
    write(folder, 0, {}, "secret", may_move=False)
    settings = Settings(data=str(data), log="embedded", log_options=client_options("secret"))
    broker_access.write(settings)
    address = read(folder / "server.properties")["advertised.listeners"].partition("://")[2]
    text = "\n".join(broker_access.lines(settings))
    assert f"-b {address} -C -t compute.events -s value=avro" in text
    assert f"-r {settings.url}/registry" in text
    assert f"--bootstrap-server {address} --consumer.config '{data}/consumer.properties'" in text
    assert f"kcat -F '{data}/kcat.conf'" in text
    assert "secret" not in text
    assert broker_access.addresses(settings) == f"  {address}"
    for name in ("kcat.conf", "consumer.properties"):
        assert (data / name).stat().st_mode & 0o077 == 0
    assert read(data / "kcat.conf")["sasl.password"] == "secret"
    login = read(data / "consumer.properties")["sasl.jaas.config"]
    assert "plain.PlainLoginModule" in login and 'password="secret"' in login


@pytest.mark.parametrize("options", [{}, {"security_protocol": "PLAINTEXT"}])
def test_brokers_of_somebody_else(tmp_path: Path, options: dict[str, str]) -> None:
    settings = Settings(data=str(tmp_path), log="kafka://k1:9092,k2:9092", log_options=options)
    assert "kcat -b k1:9092,k2:9092 " in broker_access.lines(settings)[1]
    broker_access.write(settings)
    assert "sasl.jaas.config" not in read(tmp_path / "consumer.properties")

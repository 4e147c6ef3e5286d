"""For who looks at the log with Kafka's own tools: where the broker is, and lines to paste.

Passwords are not printed: they lie in two files beside the settings, in the words of librdkafka
(kcat) and of the Java clients.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path

from chronova.embedded import broker
from chronova.embedded.addresses import broker_folder
from chronova.settings import Settings

TOPIC = "compute.events"

RDKAFKA = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
}
"""kafka-python's option by librdkafka's name."""


def start(data: Path, say: Callable[[str], None]) -> None:
    """Start the folder's broker with a password, or find it running; say where it is."""
    folder = broker_folder(data.resolve())
    known = (folder / "server.properties").exists()
    address = broker.start(folder, password="" if known else secrets.token_urlsafe(24))
    say(f"{address}  (user and password: {folder / 'server.properties'})")


def addresses(settings: Settings) -> str:
    """The brokers, as part of a line; nothing where the log is not Kafka's."""
    return f"  {_brokers(settings)}" if settings.on_kafka else ""


def lines(settings: Settings) -> list[str]:
    """What to paste to read the log; nothing where it is not Kafka's."""
    if not settings.on_kafka:
        return []
    kcat, java = (shlex.quote(str(path)) if path.exists() else "" for path in _files(settings))
    brokers = _brokers(settings)
    login, config = f"-F {kcat} " * bool(kcat), f" --consumer.config {java}" * bool(java)
    return [
        "\nRead the log:",
        f"  kcat {login}-b {brokers} -C -t {TOPIC} -s value=avro -r {settings.url}/registry",
        f"  kafka-console-consumer.sh --bootstrap-server {brokers}{config} --topic {TOPIC}"
        " --from-beginning --property print.key=true"
        " --property print.headers=true",
    ]


def write(settings: Settings) -> None:
    """Write the two files of options that the lines name."""
    if not settings.on_kafka:
        return
    options = {key: str(value) for key, value in settings.log_options.items()}
    plain = {RDKAFKA[key]: value for key, value in options.items() if key in RDKAFKA}
    java = {key: value for key, value in plain.items() if not key.endswith(("name", "password"))}
    if "sasl_plain_password" in options:
        kind = (
            "scram.Scram"
            if options.get("sasl_mechanism", "").startswith("SCRAM")
            else "plain.Plain"
        )
        java["sasl.jaas.config"] = (
            f"org.apache.kafka.common.security.{kind}LoginModule required"
            f' username="{options.get("sasl_plain_username", "")}"'
            f' password="{options["sasl_plain_password"]}";'
        )
    for path, content in zip(_files(settings), (plain, java), strict=True):
        text = "".join(f"{name}={value}\n" for name, value in content.items())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)


def _files(settings: Settings) -> tuple[Path, Path]:
    return settings.data_path / "kcat.conf", settings.data_path / "consumer.properties"


def _brokers(settings: Settings) -> str:
    return settings.log_url.partition("://")[2].rstrip("/")

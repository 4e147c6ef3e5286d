"""Opening what a role needs: the log, the keys that processes share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from api.image.direct import load_key
from api.services import ApiSettings
from chronova.embedded.addresses import EMBEDDED
from chronova.host_keys import verify
from chronova.settings import NoSite, Settings, SettingsError
from events import topics
from events.features import PROCESS
from events.host_proof import SITE
from events.log import open_log
from events.log.contract import Log, Record, Topic, TopicMismatch
from events.log.features_in_log import FeaturesInLog
from events.log.written_schemas import LookUpInLog, publish
from schemas.catalog import catalog

logger = structlog.get_logger("log")


def open_site_log(settings: Settings) -> Log:
    """The site's log, for as long as the process works. Schemas that this version does not carry
    are looked up in it, and which types of records may be written."""
    log = open_another_log(settings)
    PROCESS.look_up = FeaturesInLog(log)
    catalog().look_up = LookUpInLog(partial(open_another_log, settings))
    return log


def open_another_log(settings: Settings) -> Log:
    """The site's log once more, to be closed before the one that the process works with."""
    if not settings.log_url:
        raise NoSite(settings.data)
    options = {}
    if settings.log == EMBEDDED:  # on loopback, nobody can listen to the password
        logging.getLogger("kafka.net.sasl.plain").setLevel(logging.ERROR)
    if settings.on_kafka:
        options = {
            "client_options": settings.log_options,
            "replication_factor": settings.replication_factor,
        }
    try:
        return open_log(settings.log_url, **options)
    except ValueError as error:
        raise SettingsError(f"settings: log or log_options: {error}") from error


def database_of(settings: Settings) -> str:
    """The address of the projections' Postgres, for the roles that cannot do without."""
    if not settings.database_url:
        raise SettingsError("settings: database: this role needs the Postgres of the projections")
    return settings.database_url


def topics_of(settings: Settings) -> list[Topic]:
    """Every topic as the settings want it, but those of hosts."""
    return topics.all_topics(settings.partitions, settings.refusals_retention_s * 1000)


def make_topics(settings: Settings, log: Log, hosts: Sequence[str] = ()) -> list[str]:
    """Make the topics that are missing, also those of ``hosts``; their names. The schemas of this
    version lie in the log then."""
    try:
        own = [topics.of_host(host) for host in hosts]
    except ValueError as error:
        raise SettingsError(str(error)) from error
    made = list(log.create_topics([*topics_of(settings), *own]))
    publish(log, catalog())
    return made


def is_empty(log: Log) -> bool:
    """Whether no topic of a site was made in this log yet."""
    try:
        log.partitions(topics.HEARTBEATS)
    except TopicMismatch:
        return True
    return False


def make_keys(settings: Settings) -> None:
    """Make the keys that control nodes share, one of them with hosts, where they are missing."""
    paths = ApiSettings(data_path=settings.data_path)
    load_key(paths.idempotency_key_path)
    load_key(paths.host_proof_key_path)
    image_key(settings)


def image_key(settings: Settings) -> bytes:
    """The key that signs links to images' data; made if it is missing."""
    return load_key(ApiSettings(data_path=settings.data_path).image_url_key_path)


def check_proofs(settings: Settings, refused: Callable[[str], None] = lambda topic: None) -> None:
    """Have this process believe only what its host has proved (``events.host_proof``).

    ``refused(topic)`` is called for each record that is not believed. Raises ``SettingsError``
    where the key is missing: one made here would be another than that of the other machines.
    """
    path = ApiSettings(data_path=settings.data_path).host_proof_key_path
    if not path.exists():
        raise SettingsError(
            f"{path} is missing: copy it from another control node; where none has it yet,"
            " `chronova bootstrap` makes it on one of them"
        )

    def not_believed(record: Record, reason: str) -> None:
        logger.warning(
            "not_believed",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        refused(record.topic)

    SITE.use(load_key(path), verify, not_believed)

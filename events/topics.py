"""The topics: each domain has its own, its own key and one writer per partition.

``<domain>.commands`` what is asked, ``<domain>.events`` what happened (the truth, kept for
ever). Input and output of a decider have the same number of partitions: the state for partition
p is the fold of events partition p.

``<domain>.refusals`` what was refused: it changes nothing, so it is kept for a time only.

What hosts read and write is apart, since a topic is the smallest thing that Kafka grants:
``compute.dispatch.<host>`` is the work of one host, ``<domain>.reports`` what hosts say. Reports
are decided like commands, by the owner of the commands' partition of the same number.
"""

from __future__ import annotations

import re

from events.log.contract import Topic

DOMAINS = ("compute", "fleet", "identity", "image")
"""The domains that exist; network and volume come later and get the same three topics."""

PARTITIONS = 12
"""Fixed when the topics are made: growing would move keys to other partitions."""

FLEET_SHARDS = 1
"""One scheduler's shard holds all capacity, so two claims can never take the same room."""

REPORTING = ("compute", "fleet")
"""Domains to which hosts report."""

DISPATCHES = "compute.dispatch."
"""Begins the names of all hosts' topics."""

HOST = re.compile(r"[A-Za-z0-9._-]{1,200}")
"""A host's name: part of a topic's, which may have 249 of these."""

REPLIES = "replies"
HEARTBEATS = "fleet.heartbeats"
SCHEMAS = "schemas"
"""What records are written with (``events.log.written_schemas``); kept for ever."""

FEATURES = "features"
"""Which types of records may be written (``events.features``); kept for ever."""

COMMANDS_RETENTION_MS = 14 * 24 * 3600 * 1000
REPLIES_RETENTION_MS = 3600 * 1000
REFUSALS_RETENTION_MS = 30 * 24 * 3600 * 1000
"""Unless the site's settings say otherwise."""


def commands(domain: str) -> str:
    """The topic of a domain's commands."""
    return f"{domain}.commands"


def events(domain: str) -> str:
    """The topic of a domain's events."""
    return f"{domain}.events"


def reports(domain: str) -> str:
    """The topic of what hosts say to a domain."""
    return f"{domain}.reports"


def refusals(domain: str) -> str:
    """The topic of a domain's refused commands; its partitions are those of the events."""
    return f"{domain}.refusals"


def inputs(domain: str) -> list[str]:
    """The topics that a domain's deciders read."""
    return [commands(domain), *([reports(domain)] if domain in REPORTING else [])]


def dispatch(host: str) -> str:
    """The topic of a host's work."""
    return f"{DISPATCHES}{host}"


def of_host(host: str) -> Topic:
    """A host's own topic. ``ValueError`` for a name that none can have."""
    if not HOST.fullmatch(host):
        raise ValueError(f"a host's name has 1 to 200 of A-Z a-z 0-9 . _ -, not {host!r}")
    return Topic(dispatch(host), 1, COMMANDS_RETENTION_MS)


def all_topics(
    partitions: int = PARTITIONS, refusals_retention_ms: int = REFUSALS_RETENTION_MS
) -> list[Topic]:
    """Every topic with its settings, but those of hosts (``of_host``)."""
    topics = []
    for domain in DOMAINS:
        count = FLEET_SHARDS if domain == "fleet" else partitions
        topics += [Topic(name, count, COMMANDS_RETENTION_MS) for name in inputs(domain)]
        topics.append(Topic(events(domain), count))
        topics.append(Topic(refusals(domain), count, refusals_retention_ms))
    topics += [
        Topic(REPLIES, partitions, REPLIES_RETENTION_MS),
        Topic(HEARTBEATS, 1, REPLIES_RETENTION_MS),
        Topic(SCHEMAS, 1),
        Topic(FEATURES, 1),
    ]
    return topics

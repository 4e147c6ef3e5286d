"""The topics: each domain has its own, its own key and one writer per partition.

``<domain>.commands`` what is asked, ``<domain>.events`` what happened (the truth, kept for
ever), ``<domain>.dispatch`` work for hosts, keyed by host. Input and output of a decider have
the same number of partitions: the state for partition p is the fold of events partition p.
"""

from __future__ import annotations

from events.log.contract import Topic

DOMAINS = ("compute", "fleet", "identity", "image")
"""The domains that exist; network and volume come later and get the same three topics."""

PARTITIONS = 12
"""Fixed when the topics are made: growing would move keys to other partitions."""

FLEET_SHARDS = 1
"""One scheduler's shard holds all capacity, so two claims can never take the same room."""

REPLIES = "replies"
HEARTBEATS = "fleet.heartbeats"

COMMANDS_RETENTION_MS = 14 * 24 * 3600 * 1000
REPLIES_RETENTION_MS = 3600 * 1000


def commands(domain: str) -> str:
    """The topic of a domain's commands."""
    return f"{domain}.commands"


def events(domain: str) -> str:
    """The topic of a domain's events."""
    return f"{domain}.events"


def dispatch(domain: str) -> str:
    """The topic of a domain's work for hosts."""
    return f"{domain}.dispatch"


def all_topics(partitions: int = PARTITIONS) -> list[Topic]:
    """Every topic with its settings."""
    topics = []
    for domain in DOMAINS:
        count = FLEET_SHARDS if domain == "fleet" else partitions
        topics += [
            Topic(commands(domain), count, COMMANDS_RETENTION_MS),
            Topic(events(domain), count),
        ]
    topics += [
        Topic(dispatch("compute"), partitions, COMMANDS_RETENTION_MS),
        Topic(REPLIES, partitions, REPLIES_RETENTION_MS),
        Topic(HEARTBEATS, 1, REPLIES_RETENTION_MS),
    ]
    return topics

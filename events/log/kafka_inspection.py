"""How a Kafka cluster really is: its brokers, and the settings that its topics have.

For ``chronova doctor``; nothing that runs depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import kafka.errors as errors
import msgspec
from kafka.protocol.metadata import MetadataRequest

from events.log.kafka_connection import Connection, Deadline
from events.log.kafka_topics import describe

SETTINGS = (
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "message.timestamp.type",
    "max.message.bytes",
    "min.insync.replicas",
    "unclean.leader.election.enable",
)
"""What is asked for of a topic's settings."""


class TopicState(msgspec.Struct, frozen=True):
    """A topic as it is. ``replicas``: of the partition that has fewest; ``in_sync`` likewise."""

    partitions: int
    replicas: int
    in_sync: int
    settings: Mapping[str, str]


class ClusterState(msgspec.Struct, frozen=True):
    """Brokers that are up, and the topics there are of those that were asked for."""

    brokers: int
    topics: Mapping[str, TopicState]


def inspect(
    bootstrap: str, options: Mapping[str, object], names: Sequence[str], timeout_s: float = 10.0
) -> ClusterState:
    """Look at these topics. Raises ``LogUnavailable``, also where it is not allowed to look."""
    connection = Connection(bootstrap, options, "chronova-doctor")

    async def ask(deadline: Deadline) -> ClusterState:
        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=name) for name in names],
            allow_auto_topic_creation=False,
            min_version=4,
        )
        metadata = await connection.send(request, deadline)
        known = {
            topic.name: topic.partitions
            for topic in metadata.topics
            if errors.for_code(topic.error_code) is errors.NoError
        }
        settings = await _settings(connection, list(known), deadline)
        topics = {
            name: TopicState(
                len(parts),
                min(len(part.replica_nodes) for part in parts),
                min(len(part.isr_nodes) for part in parts),
                settings.get(name, {}),
            )
            for name, parts in known.items()
        }
        return ClusterState(len(metadata.brokers), topics)

    try:
        return connection.run("describe its topics", timeout_s, ask)
    finally:
        connection.close()


async def _settings(
    connection: Connection, names: Sequence[str], deadline: Deadline
) -> dict[str, dict[str, str]]:
    found = await describe(connection, names, SETTINGS, deadline)
    if unseen := sorted(set(names) - set(found)):
        raise errors.TopicAuthorizationFailedError(f"{', '.join(unseen)}: settings are not shown")
    return found

"""How a Kafka cluster really is: its brokers, and the settings that its topics have.

For ``chronova doctor``; nothing that runs depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import kafka.errors as errors
import msgspec
from kafka.protocol.admin import DescribeConfigsRequest
from kafka.protocol.metadata import MetadataRequest

from events.log.kafka_connection import Connection, Deadline

_TOPIC = 2
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
    resource: Any = DescribeConfigsRequest.DescribeConfigsResource
    request = DescribeConfigsRequest(
        resources=[
            resource(resource_type=_TOPIC, resource_name=name, configuration_keys=list(SETTINGS))
            for name in names
        ],
        include_synonyms=False,
        include_documentation=False,
        max_version=4,
    )
    response = await connection.send(request, deadline)
    found = {}
    for result in response.results:
        error = errors.for_code(result.error_code)
        if error is not errors.NoError:
            raise error(f"{result.resource_name}: {result.error_message}")
        found[result.resource_name] = {each.name: each.value or "" for each in result.configs}
    return found

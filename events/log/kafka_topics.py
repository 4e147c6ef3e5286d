"""Topics of a Kafka log: made as they must be, counted, and where their partitions end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import kafka.errors as errors
from kafka.protocol.admin import (
    CreateTopicsRequest,
    DescribeConfigsRequest,
    IncrementalAlterConfigsRequest,
)
from kafka.protocol.consumer import ListOffsetsRequest
from kafka.protocol.metadata import MetadataRequest

from events.log.contract import Topic, TopicMismatch, TopicPartition
from events.log.kafka_connection import RETRY_S, Connection, Deadline
from events.log.kafka_records import JOURNAL_BYTES_MAX, MESSAGE_BYTES_MAX

_LATEST = -1
_TOPIC = 2
_SET = 0
_RETENTION = "retention.ms"

Ends = dict[TopicPartition, int]


def ping(connection: Connection, timeout_s: float) -> None:
    """Raises ``LogUnavailable`` unless a broker answers within the time."""

    async def ask(deadline: Deadline) -> None:
        while True:
            try:
                response = await connection.send(MetadataRequest(topics=[]), deadline)
                if not response.brokers:  # it started, and the controller does not trust it yet
                    raise errors.BrokerNotAvailableError()
                return
            except (errors.RetriableError, errors.BrokerNotAvailableError) as error:
                await connection.pause(deadline, error)

    connection.run("answer", timeout_s, ask)


def cluster_id(connection: Connection, timeout_s: float) -> str:
    """The id that the cluster's storage was formatted with."""

    async def ask(deadline: Deadline) -> str:
        while connection.client.cluster_id is None:
            await connection.refresh(deadline)
        return connection.client.cluster_id

    return connection.run("tell its cluster id", timeout_s, ask)


def partitions(connection: Connection, topic: str, timeout_s: float) -> int:
    """How many partitions a topic has. Raises ``TopicMismatch`` when there is none such."""

    async def ask(deadline: Deadline) -> int:
        count = await connection.partitions(topic, deadline)
        if not count:
            raise TopicMismatch(f"There is no topic {topic}.")
        return count

    return connection.run(f"describe topic {topic}", timeout_s, ask)


def create(
    connection: Connection,
    topics: Sequence[Topic],
    replication_factor: int,
    timeout_s: float,
) -> Sequence[str]:
    """Make the missing ones and wait until all their partitions are led; their names. Those that
    are there get the retention that they should have.

    One request asks for all of them: asked one by one, and followed, a thousand took minutes.
    """

    async def make(deadline: Deadline) -> Sequence[str]:
        names = [topic.name for topic in topics]
        missing = _missing(topics, await _described(connection, names, deadline))
        there = [each for each in topics if each not in missing and each.retention_ms is not None]
        if there:
            await _keep(connection, there, deadline)
        if missing:
            request = _create_request(missing, replication_factor, deadline)
            await _create(connection, request, deadline)
            await _led(connection, topics, deadline)
            # A leader that is named may not have begun to lead.
            made = [(topic.name, n) for topic in missing for n in range(topic.partitions)]
            await _offsets(connection, made, _LATEST, deadline)
        return [topic.name for topic in missing]

    return connection.run("create topics", timeout_s, make)


def ends(connection: Connection, sources: Sequence[TopicPartition], timeout_s: float) -> Ends:
    """The offset after the last record of each partition that all in-sync replicas have."""

    async def ask(deadline: Deadline) -> Ends:
        found = await _offsets(connection, sources, _LATEST, deadline)
        return {source: offset or 0 for source, offset in found.items()}

    return connection.run("tell where its partitions end", timeout_s, ask)


def offset_at(
    connection: Connection, source: TopicPartition, timestamp: int, timeout_s: float
) -> int | None:
    """The first offset with an append time of at least ``timestamp`` (microseconds)."""
    timestamp_ms = max(0, -(-timestamp // 1000))

    async def ask(deadline: Deadline) -> int | None:
        found = await _offsets(connection, [source], timestamp_ms, deadline)
        return found[source]

    return connection.run("find an offset by its time", timeout_s, ask)


async def _offsets(
    connection: Connection,
    sources: Sequence[TopicPartition],
    at: int,
    deadline: Deadline,
) -> dict[TopicPartition, int | None]:
    """ListOffsets for each partition at its leader, asked again while leadership moves."""
    found: dict[TopicPartition, int | None] = {}
    left = list(dict.fromkeys(sources))
    await _follow(connection, left, deadline)
    while left:
        failure: errors.KafkaError | None = None
        nodes: dict[Any, list[TopicPartition]] = {}
        for source in left:
            nodes.setdefault(await connection.leader(source, deadline), []).append(source)
        for node, group in nodes.items():
            try:
                response = await connection.send(_list_request(group, at), deadline, node)
            except errors.RetriableError as error:
                failure = error
                continue
            for topic in response.topics:
                for part in topic.partitions:
                    error_type = errors.for_code(part.error_code)
                    if error_type is errors.NoError:
                        source = (topic.name, part.partition_index)
                        found[source] = part.offset if part.offset >= 0 else None
                    elif issubclass(error_type, errors.RetriableError):
                        failure = error_type()
                    else:
                        raise error_type()
        left = [source for source in left if source not in found]
        if failure is not None and left:
            await connection.pause(deadline, failure, 0.02)
            await connection.refresh(deadline)
    return found


async def _follow(
    connection: Connection, sources: Sequence[TopicPartition], deadline: Deadline
) -> None:
    """Learn at once who leads the partitions of many topics; ``leader`` asks for one by one."""
    names = {
        name for name, number in sources if connection.client.leader_of((name, number)) is None
    }
    if len(names) > 1:
        for name in await _described(connection, sorted(names), deadline):
            connection.client.follow(name)
        await connection.refresh(deadline)


def _list_request(sources: Sequence[TopicPartition], at: int) -> Any:
    topic = ListOffsetsRequest.ListOffsetsTopic
    topics: dict[str, list[Any]] = {}
    for name, number in sources:
        part = topic.ListOffsetsPartition(
            partition_index=number, current_leader_epoch=-1, timestamp=at
        )
        topics.setdefault(name, []).append(part)
    return ListOffsetsRequest(
        replica_id=-1,
        isolation_level=0,
        topics=[topic(name=name, partitions=parts) for name, parts in topics.items()],
        timeout_ms=5000,
        min_version=2,
        max_version=10,
    )


async def _described(
    connection: Connection, names: Sequence[str], deadline: Deadline
) -> dict[str, list[bool]]:
    """Whether each partition is led, by topic; without the topics that are not there."""
    wanted = [MetadataRequest.MetadataRequestTopic(name=name) for name in names]
    request = MetadataRequest(topics=wanted, allow_auto_topic_creation=False, min_version=4)
    while True:
        try:
            found = (await connection.send(request, deadline)).topics
            return {each.name: _leads(each) for each in found if _is_there(each)}
        except errors.RetriableError as error:
            await connection.pause(deadline, error)


def _is_there(described: Any) -> bool:
    error = errors.for_code(described.error_code)
    if error in (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError):
        return False
    if error is not errors.NoError:
        raise error(described.name)
    return True


def _leads(described: Any) -> list[bool]:
    return [part.error_code == 0 and part.leader_id >= 0 for part in described.partitions]


def _missing(topics: Sequence[Topic], described: Mapping[str, Sequence[bool]]) -> list[Topic]:
    """The topics that are not there. Raises ``TopicMismatch`` for others than they must be."""
    for topic in topics:
        count = len(described.get(topic.name, ()))
        if count not in (0, topic.partitions):
            raise TopicMismatch(
                f"Topic {topic.name} has {count} partitions and must have {topic.partitions}: "
                "a key's partition can never change, so neither can their number."
            )
    return [topic for topic in topics if topic.name not in described]


async def _led(connection: Connection, topics: Sequence[Topic], deadline: Deadline) -> None:
    """Wait until topics just made are known and all their partitions have a leader."""
    while True:
        described = await _described(connection, [topic.name for topic in topics], deadline)
        missing = _missing(topics, described)
        if not missing and all(all(leads) for leads in described.values()):
            return
        if missing and deadline.left_s <= RETRY_S:
            raise TopicMismatch(f"Topic {missing[0].name} was made, and is gone again.")
        await connection.pause(deadline, errors.LeaderNotAvailableError())


def _create_request(topics: Sequence[Topic], replication_factor: int, deadline: Deadline) -> Any:
    topic_type = CreateTopicsRequest.CreatableTopic
    return CreateTopicsRequest(
        topics=[
            topic_type(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=replication_factor,
                assignments=[],
                configs=[
                    topic_type.CreatableTopicConfig(name=name, value=value)
                    for name, value in settings(topic, replication_factor).items()
                ],
            )
            for topic in topics
        ],
        timeout_ms=int(deadline.left_s * 1000),
        validate_only=False,
    )


def settings(topic: Topic, replication_factor: int) -> Mapping[str, str]:
    """A topic's configuration: append time as timestamps, never compacted, kept as it says; an
    append is acknowledged by two brokers where there are three copies. A journal takes larger
    batches than others: a decision is one."""
    journal = topic.name.endswith(".events")
    message_bytes_max = JOURNAL_BYTES_MAX if journal else MESSAGE_BYTES_MAX
    return {
        **({"min.insync.replicas": "2"} if replication_factor >= 3 else {}),
        "cleanup.policy": "delete",
        "retention.ms": str(-1 if topic.retention_ms is None else topic.retention_ms),
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(message_bytes_max),
    }


async def _keep(connection: Connection, topics: Sequence[Topic], deadline: Deadline) -> None:
    """Change the retention of those that are kept for another time. A principal that may not look
    or change leaves them as they are: ``chronova doctor`` tells of the difference."""
    found = await describe(connection, [each.name for each in topics], [_RETENTION], deadline)
    resource: Any = IncrementalAlterConfigsRequest.AlterConfigsResource
    changes = [
        resource(
            resource_type=_TOPIC,
            resource_name=each.name,
            configs=[
                resource.AlterableConfig(
                    name=_RETENTION, config_operation=_SET, value=str(each.retention_ms)
                )
            ],
        )
        for each in topics
        if found.get(each.name, {}).get(_RETENTION) not in (None, str(each.retention_ms))
    ]
    if changes:
        request = IncrementalAlterConfigsRequest(
            resources=changes, validate_only=False, max_version=1
        )
        response = await connection.send(request, deadline)
        for result in response.responses:
            error = errors.for_code(result.error_code)
            if error not in (errors.NoError, errors.TopicAuthorizationFailedError):
                raise error(f"{result.resource_name}: {result.error_message}")


async def describe(
    connection: Connection, names: Sequence[str], keys: Sequence[str], deadline: Deadline
) -> dict[str, dict[str, str]]:
    """Return these settings of these topics, but for those that may not be looked at."""
    resource: Any = DescribeConfigsRequest.DescribeConfigsResource
    request = DescribeConfigsRequest(
        resources=[
            resource(resource_type=_TOPIC, resource_name=name, configuration_keys=list(keys))
            for name in names
        ],
        include_synonyms=False,
        include_documentation=False,
        max_version=4,
    )
    response = await connection.send(request, deadline)
    return {
        result.resource_name: {each.name: each.value or "" for each in result.configs}
        for result in response.results
        if errors.for_code(result.error_code) is errors.NoError
    }


async def _create(connection: Connection, request: Any, deadline: Deadline) -> None:
    while True:
        try:
            response = await connection.send(request, deadline)
            for topic in response.topics:
                error = errors.for_code(topic.error_code)
                # Another process was first: whether it made it alike is looked at afterwards.
                if error not in (errors.NoError, errors.TopicAlreadyExistsError):
                    raise error(f"{topic.name}: {topic.error_message}")
            return
        except errors.RetriableError as error:
            await connection.pause(deadline, error, 0.1)

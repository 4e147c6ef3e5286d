"""The log: does it answer, are its topics as they must be, does its clock go right?"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from chronova.connections import topics_of
from chronova.doctor.finding import Finding, failed, ok, warning
from chronova.settings import Settings
from events import topics
from events.features import PROCESS
from events.log.contract import Log, LogError, Outgoing, Topic, TopicMismatch
from events.log.records import Codec, headers
from events.message import Context
from events.outcome import Reply
from handlers.features import holders

SKEW_WARNING_S, SKEW_FAILED_S = 0.5, 5.0
PING_SLOW_S = 0.1
READ_S = 5.0


def examine(settings: Settings, log: Log) -> Iterator[Finding]:
    """All of it, as far as the log answers."""
    kind = "Kafka" if settings.on_kafka else "Postgres"
    try:
        took = _fastest_ping(log)
    except LogError as error:
        advice = "start it, or mend the setting `log` (and `log_options` for TLS and SASL)"
        yield failed("log", f"{kind} does not answer: {error}", advice)
        return
    seen = f"{kind} answers in {took * 1e3:.2f} ms"
    slow = "it should be in the same building: each write waits for it"
    yield warning("log", seen, slow) if took > PING_SLOW_S else ok("log", seen)
    wanted = topics_of(settings)
    missing = list(_mismatches(log, wanted))
    yield from missing
    if not missing:
        yield ok("topics", f"{len(wanted)} topics with their partitions")
        yield clock(log)
        yield from levels(settings, log)
    if kind == "Kafka":
        yield from cluster(settings, wanted)


def _fastest_ping(log: Log) -> float:
    """The first opens the connection."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        log.ping(5.0)
        times.append(time.perf_counter() - began)
    return min(times)


def _mismatches(log: Log, wanted: list[Topic]) -> Iterator[Finding]:
    for topic in wanted:
        try:
            count = log.partitions(topic.name)
        except TopicMismatch:
            yield failed("topics", f"{topic.name} is missing", "run `chronova topics create`")
            continue
        if count != topic.partitions:
            seen = f"{topic.name} has {count} partitions, the settings say {topic.partitions}"
            advice = f"set partitions = {count}: a key's partition can never change"
            yield failed("topics", seen, advice)


def clock(log: Log) -> Finding:
    """Compare the log's clock with ours, by a record that nobody waits for."""
    id = f"doctor-{uuid.uuid4()}"
    context = Context(id=id, time=time.time_ns() // 1000)
    reply = Reply(command_id=id)
    made = headers(context, Reply.type_name, "/chronova/doctor")
    record = Outgoing(topics.REPLIES, id, Codec().encode(reply), made, 0)
    began = time.time()
    try:
        (offset,) = log.append([record])
        ended = time.time()
        reader = log.reader({(topics.REPLIES, 0): offset})
        try:
            found = [r for r in reader.poll(READ_S) if r.key == id]
        finally:
            reader.close()
    except LogError as error:
        advice = "this principal needs to write and read the topic replies"
        return failed("log's clock", f"could not be read: {error}", advice)
    if not found:
        return failed("log's clock", "what was written could not be read", "look at the log")
    at = found[0].timestamp / 1e6
    return skew("log's clock", max(began - at, at - ended, 0.0))


def levels(settings: Settings, log: Log) -> Iterator[Finding]:
    """The feature level, and who holds it back or was refused as too old."""
    known, window_s = PROCESS.known, settings.service_down_time_s
    try:
        reached = PROCESS.look()
        holding, refused = holders(log, Codec(), window_s)
    except LogError as error:
        advice = "this principal needs to read the topics features and fleet.heartbeats"
        yield failed("feature level", f"could not be read: {error}", advice)
        return
    seen = f"{reached.enabled} is enabled, this version knows {known}"
    if reached.required > known:
        yield failed("feature level", f"{seen}, {reached.required} is required", "upgrade it")
    elif reached.enabled < known and holding:
        advice = "upgrade these, or stop them: then it rises by itself"
        yield warning("feature level", f"{seen}; held back by {', '.join(holding)}", advice)
    else:
        yield ok("feature level", seen)
    for name in refused:
        seen = f"{name} was refused: {reached.required} is required"
        yield failed("feature level", seen, "upgrade that machine")


def skew(check: str, seconds: float) -> Finding:
    """How far a clock is from ours, beyond what the measurement took."""
    seen = f"within {max(seconds, 0.001):.3f} s of this machine's"
    advice = "run chrony or another NTP client on all machines"
    if seconds > SKEW_FAILED_S:
        return failed(check, f"{seconds:.1f} s away from this machine's", advice)
    return warning(check, seen, advice) if seconds > SKEW_WARNING_S else ok(check, seen)


def cluster(settings: Settings, wanted: list[Topic]) -> Iterator[Finding]:
    """Kafka's own: brokers, and each topic's settings."""
    from events.log.kafka_inspection import inspect

    bootstrap = settings.log_url.removeprefix("kafka://").rstrip("/")
    names = [topic.name for topic in wanted]
    try:
        state = inspect(bootstrap, settings.log_options, names)
    except LogError as error:
        advice = "the doctor needs DescribeConfigs on the topics"
        yield failed("topics' settings", str(error), advice)
        return
    factor = settings.replication_factor
    if state.brokers < factor:
        seen = f"{state.brokers} brokers are up, and each record should be on {factor}"
        yield failed("brokers", seen, "start the others")
    elif state.brokers < 3:
        seen = f"{state.brokers} broker(s): one lost disk is a lost cloud"
        yield warning("brokers", seen, "three brokers, replication_factor = 3, for production")
    else:
        yield ok("brokers", f"{state.brokers} are up")
    wrong = [
        f for topic in wanted if topic.name in state.topics for f in _topic(topic, state, factor)
    ]
    yield from wrong
    if not wrong:
        yield ok("topics' settings", "append times, retention and replicas as they must be")


def _topic(topic: Topic, state: object, factor: int) -> Iterator[Finding]:
    from events.log.kafka_inspection import ClusterState
    from events.log.kafka_topics import settings as right

    assert isinstance(state, ClusterState)
    found = state.topics[topic.name]
    for name, value in right(topic, 1).items():
        have = found.settings.get(name, "")
        if have != value:
            command = f"kafka-configs.sh --alter --topic {topic.name} --add-config {name}={value}"
            yield failed(
                "topics' settings", f"{topic.name}: {name} is {have or 'unknown'}", command
            )
    if found.replicas < factor:
        seen = f"{topic.name}: {found.replicas} replica(s), the settings say {factor}"
        yield failed("replicas", seen, "kafka-reassign-partitions.sh, see docs/operations.md")
    elif found.in_sync < found.replicas:
        seen = f"{topic.name}: {found.in_sync} of {found.replicas} replicas are in sync"
        yield warning("replicas", seen, "is a broker down, or its disk slow?")
    if found.replicas >= 3 and found.settings.get("min.insync.replicas") != "2":
        command = (
            f"kafka-configs.sh --alter --topic {topic.name} --add-config min.insync.replicas=2"
        )
        yield failed("replicas", f"{topic.name}: min.insync.replicas is not 2", command)

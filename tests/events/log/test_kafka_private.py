"""What this log uses of kafka-python's private parts, against the library as it is installed."""

from __future__ import annotations

import ast
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import kafka.errors as errors
import pytest
from kafka.future import Future
from kafka.protocol.metadata import MetadataRequest

from events.log.contract import LogError, LogUnavailable
from events.log.kafka import KafkaLog
from events.log.kafka_consumer import Consumer
from events.log.kafka_private import Client, LoopEnded, Selector
from tests.events.log.site import LIMIT_S, KafkaSite, outgoing, read_to_end, until
from tests.parts.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

CRASHES = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
LOG = Path(__file__).parents[3] / "events" / "log"
PRIVATE = "kafka_private.py"
INNER = {"kafka.net", "kafka.cluster", "kafka.client_async", "kafka.coordinator.base"}


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    with closing(Client({"bootstrap_servers": broker.bootstrap}, LIMIT_S)) as made:
        yield made


@pytest.fixture
def kafka(broker: Broker) -> Iterator[KafkaSite]:
    """A site on the session's broker."""
    with closing(KafkaSite(broker)) as site:
        yield site


def test_no_other_file_reaches_into_the_library() -> None:
    """Underscored names of other objects, and modules that the library does not document."""
    found = []
    for path in sorted(LOG.glob("kafka*.py")):
        if path.name == PRIVATE:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and any(
                (node.module or "").startswith(inner) for inner in INNER
            ):
                found.append(f"{path.name}:{node.lineno}: from {node.module}")
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "other")
                if not own and not node.attr.startswith("__"):
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_a_client_runs_sends_and_knows_the_metadata(client: Client, kafka: KafkaSite) -> None:
    topic = kafka.topic("events", 2)

    async def look() -> tuple[object, object, int, str | None]:
        client.follow(topic)
        while client.leader_of((topic, 1)) in (None, -1):
            await client.refresh(LIMIT_S)
        response = await client.post(MetadataRequest(topics=[]), None, LIMIT_S)
        missing = client.leader_of((topic, 2))
        return client.leader_of((topic, 1)), missing, len(response.brokers), client.cluster_id

    leader, missing, brokers, cluster = client.run(look, limit_s=LIMIT_S)
    assert (leader, missing, brokers) == (1, None, 1)
    assert cluster == kafka.log.identity()


class Unnamed(socket.socket):
    """A socket that must not be named: its addresses would be asked of the kernel."""

    def __repr__(self) -> str:
        raise AssertionError("named")


def test_a_wait_for_a_socket_does_not_name_it(client: Client) -> None:
    with Selector() as made, Unnamed() as unnamed:
        with pytest.raises(KeyError):
            made.get_key(unnamed)
        key = made.register(unnamed, selectors.EVENT_READ)
        assert made.get_key(unnamed) == key
        unnamed.close()
        assert made.get_key(unnamed) == key, "closed, and still to be unregistered"
    assert isinstance(client._net._selector, Selector), "the library uses it"


def test_a_consumer_waits_without_names_too(broker: Broker) -> None:
    consumer = Consumer(broker.bootstrap, {"group_id": None, "client_id": "test"})
    assert isinstance(consumer._stepped._net._selector, Selector)
    consumer.leave(1.0)


def test_errors_of_a_call_are_its_callers(client: Client) -> None:
    async def fail() -> None:
        raise errors.NotControllerError("as the library would")

    async def wait() -> None:
        await client.wait_for(Future(), 0.05)

    with pytest.raises(errors.NotControllerError):
        client.run(fail, limit_s=LIMIT_S)
    with pytest.raises(errors.KafkaTimeoutError):
        client.run(wait, limit_s=LIMIT_S)


def test_a_loop_that_is_held_up_holds_up_nobody_for_long(client: Client) -> None:
    free = threading.Event()

    async def hold() -> None:
        free.wait(LIMIT_S)

    with pytest.raises(errors.KafkaTimeoutError, match="does not answer"):
        client.run(hold, limit_s=0.1)
    free.set()


def test_a_closed_client_says_so(client: Client) -> None:
    async def nothing() -> None:
        return None

    client.close()
    with pytest.raises(LoopEnded):
        client.run(nothing, limit_s=LIMIT_S)


def crash(net: Any) -> None:
    """End an event loop as by an error of its own."""

    def broken() -> None:
        del net._poll_once  # once
        raise OSError("the event loop breaks")

    net._poll_once = broken
    net.wakeup()
    until(lambda: net._exception is not None, "the loop has ended")


@CRASHES
def test_a_log_whose_loop_has_ended_goes_on_with_another(kafka: KafkaSite) -> None:
    topic, log = kafka.topic("events"), kafka.log
    assert isinstance(log, KafkaLog)
    journal = log.begin_term((topic, 0), outgoing(topic, "term")[0])
    log.append(outgoing(topic, "a"))
    crash(log._connection.client._net)
    (outcome,) = log.commit([(journal, outgoing(topic, "b"))])
    assert isinstance(outcome, int | LogUnavailable), outcome
    log.append(outgoing(topic, "c"))
    values = [record.value for record in read_to_end(kafka.reader(topic))]
    assert (values[:2], values[-1]) == ([b"term", b"a"], b"c")


@CRASHES
def test_a_consumer_whose_loop_has_ended_does_not_wait_in_silence(kafka: KafkaSite) -> None:
    topic = kafka.topic("events")
    consumer = Consumer(kafka.server.bootstrap, {"group_id": None, "client_id": "test"})
    consumer.take([(topic, 0)])
    consumer.go_to((topic, 0), 0)
    assert consumer.fetch(0.1, 1) == []
    crash(consumer._stepped._net)
    with pytest.raises(LogError, match="never read again"):
        consumer.fetch(LIMIT_S, 1)
    consumer.leave(1.0)

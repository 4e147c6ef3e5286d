"""``python -m tests.bench.journal``: what an append to a journal costs on a real Kafka broker.

In one run, by turns, so that other work on the machine weighs on all alike: one commit to one
journal, one commit to several, and the way of a record from before its write to another reader's
sight. (A transaction over the same records and an offset took 7-8 ms where a commit took 1.1-1.4;
to another's sight 6.5-9.5 ms where a commit took 2.6-3.0.)

Needs a broker as the tests do: ``CHRONOVA_TEST_KAFKA``, Docker, or the jars from Maven Central.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from events.log.contract import LATEST, Journal, Log, Outgoing, Topic, TopicPartition
from events.log.kafka import KafkaLog
from tests.parts.broker import kafka_broker

VALUE = b"x" * 600
"""About what a fact of a boot has."""

RECORDS = 3
"""In each batch: what a command leads to."""

Figures = dict[str, list[float]]


class Bench:
    """Journals of one topic, and a reader on a thread of its own."""

    def __init__(self, log: Log, other: Log, journals: int) -> None:
        suffix = uuid.uuid4().hex[:8]
        self.log, self.other = log, other
        self.events = f"events-{suffix}"
        log.create_topics([Topic(self.events, journals)])
        self.journals = [self._begin((self.events, number)) for number in range(journals)]
        self.figures: Figures = {}

    def _begin(self, source: TopicPartition) -> Journal:
        headers = {"ce_type": "bench.TermBegan"}
        return self.log.begin_term(source, Outgoing(source[0], "term", b"", headers, source[1]))

    def timed(self, name: str, action: Callable[[], object]) -> None:
        """Note how long it takes, in milliseconds."""
        began = time.perf_counter()
        action()
        self.figures.setdefault(name, []).append((time.perf_counter() - began) * 1000)

    def commit(self, journals: Sequence[Journal]) -> None:
        """One batch to each."""
        for outcome in self.log.commit([(each, batch(self.events)) for each in journals]):
            if not isinstance(outcome, int):
                raise outcome


def batch(topic: str, partition: int = 0) -> list[Outgoing]:
    """Records of a decision."""
    return [Outgoing(topic, "key", VALUE, {"ce_id": str(n)}, partition) for n in range(RECORDS)]


def sights(bench: Bench, name: str, write: Callable[[], object], count: int) -> None:
    """From before the write to the return of another process's ``poll`` with its records."""
    reader = bench.other.reader({(bench.events, 0): LATEST})
    seen = threading.Semaphore(0)
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set():
            for _ in reader.poll(0.5):
                seen.release()

    def wait() -> None:
        write()
        for _ in range(RECORDS):
            if not seen.acquire(timeout=10):
                raise SystemExit("a record was not seen within 10 s")

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(count):
        bench.timed(name, wait)
    stop.set()
    thread.join()
    reader.close()


def run(bench: Bench, rounds: int) -> Figures:
    """All figures, in rounds that alternate."""
    one, all_of_them = bench.journals[:1], bench.journals
    actions: dict[str, Callable[[], object]] = {
        "commit to 1 journal": lambda: bench.commit(one),
        f"commit to {len(all_of_them)} journals": lambda: bench.commit(all_of_them),
    }
    for action in actions.values():
        for _ in range(20):
            action()
    for _ in range(rounds):
        for name, action in actions.items():
            for _ in range(10):
                bench.timed(name, action)
    for _ in range(3):
        sights(bench, "commit → another reader's sight", lambda: bench.commit(one), rounds * 2)
    return bench.figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="of ten of each kind")
    parser.add_argument("--journals", type=int, default=12)
    arguments = parser.parse_args()
    with kafka_broker() as broker:
        log, other = KafkaLog(broker.bootstrap), KafkaLog(broker.bootstrap)
        bench = Bench(log, other, arguments.journals)
        figures = run(bench, arguments.rounds)
        other.close()
        log.close()
    table = Table(title=f"{RECORDS} records of {len(VALUE)} bytes to each partition, ms")
    for column in ("", "median", "p95", "times"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in sorted(figures.items()):
        p95 = statistics.quantiles(found, n=20)[-1]
        table.add_row(name, f"{statistics.median(found):.2f}", f"{p95:.2f}", str(len(found)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

"""Measure journals of the Postgres log: medians of commits, and of a record's way to a reader.

    python -m tests.bench.journal_postgres [postgresql://…]

Without a URL it starts a server of its own. Records have the size of a usual fact: a value of
400 bytes and eleven headers. The reader is a process of its own. The schema is removed at the end.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median, quantiles

import psycopg2

from events.log.contract import LATEST, Journal, Outgoing, Topic, TopicPartition
from events.log.postgres import PostgresLog
from tests.parts.postgres import postgres_server

EVENTS = "bench.events"
PARTITIONS = 12
ROUNDS = 300
HEADERS = {f"ce_header{n}": f"value-{n}-0123456789abcdef" for n in range(11)}


def facts(source: TopicPartition, count: int) -> list[Outgoing]:
    """Records of the usual size."""
    return [Outgoing(source[0], "0123456789abcdef" * 2, b"\xfe" * 400, HEADERS, source[1])] * count


def begin(log: PostgresLog, number: int) -> Journal:
    """A term of this process."""
    source = (EVENTS, number)
    return log.begin_term(source, Outgoing(EVENTS, "term", b"", {}, number))


def show(what: str, seconds: Sequence[float]) -> None:
    """Print figures in milliseconds; with other work on the machine p5 says what it would be."""
    low, *_, high = (1000 * each for each in quantiles(seconds, n=20))
    middle = 1000 * median(seconds)
    print(f"{what:<40} median {middle:6.2f} ms   p5 {low:6.2f}   p95 {high:6.2f}")


def timed(action: Callable[[], object], rounds: int) -> list[float]:
    """How long each of ``rounds`` took, in seconds, after some that do not count."""
    taken = []
    for n in range(rounds + 10):
        began = time.perf_counter()
        action()
        if n >= 10:
            taken.append(time.perf_counter() - began)
    return taken


def commits(log: PostgresLog) -> None:
    """What a commit takes, by its size."""
    journals = [begin(log, number) for number in range(PARTITIONS)]

    def commit(appends: Sequence[Journal], count: int) -> None:
        outcomes = log.commit([(one, facts(one.source, count)) for one in appends])
        assert all(isinstance(outcome, int) for outcome in outcomes), outcomes

    show("commit of 1 record", timed(lambda: commit(journals[:1], 1), ROUNDS))
    show("commit of 100 records to one journal", timed(lambda: commit(journals[:1], 100), 100))
    show("commit of 12 journals, 1 record each", timed(lambda: commit(journals, 1), ROUNDS))
    show("commit of 12 journals, 10 records each", timed(lambda: commit(journals, 10), 100))
    show("begin_term", timed(lambda: begin(log, 0), ROUNDS))


def sight(log: PostgresLog, url: str, schema: str) -> None:
    """From the call of ``commit`` to the return of another process's ``poll``."""
    journal = begin(log, 0)
    command = [sys.executable, "-m", "tests.bench.journal_postgres", "--read", url, schema]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        seconds = []
        for n in range(ROUNDS + 10):
            began = time.monotonic_ns()
            log.commit([(journal, facts(journal.source, 1))])
            seen = int(reader.stdout.readline())
            if n >= 10:
                seconds.append((seen - began) / 1e9)
        reader.terminate()
    show("write to another reader's sight", seconds)


def read(url: str, schema: str) -> None:
    """Print the time of each record of the first partition."""
    log = PostgresLog(url, schema=schema)
    reader = log.reader({(EVENTS, 0): LATEST})
    reader.poll(0.5)
    print("reading", flush=True)
    while True:
        for _ in reader.poll(10.0):
            print(time.monotonic_ns(), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Measure all, on the server at the URL given or on one of its own."""
    if arguments[:1] == ["--read"]:
        read(*arguments[1:])
        return
    with ExitStack() as stack:
        url = arguments[0] if arguments else stack.enter_context(postgres_server()).url
        schema = f"bench_{uuid.uuid4().hex[:8]}"
        log = PostgresLog(url, schema=schema)
        stack.callback(log.close)
        log.create_topics([Topic(EVENTS, PARTITIONS)])
        try:
            commits(log)
            sight(log, url, schema)
        finally:
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                cursor.execute(f"DROP SCHEMA {schema} CASCADE")
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1:])

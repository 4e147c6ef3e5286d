"""The contract of a log under faults: owners of journals that are stopped and killed, and a
server that goes away in the middle of commits."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from events.log.contract import Journal, Log, LogUnavailable, Outgoing, Record, TopicPartition
from tests.events.log.site import (
    LIMIT_S,
    ServedSite,
    outgoing,
    persistently,
    read,
    read_to_end,
    until,
)
from tests.events.log.test_contract_members import Following, join, share

ROOT = Path(__file__).parents[3]

SOME = 60
"""Numbers written before the server dies."""


class OwnerProcess:
    """``journal_process`` running; what it prints can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def expect(self, *wanted: str) -> str:
        """Wait for the first of these lines."""
        while True:
            line = self._lines.get(timeout=LIMIT_S)
            if line in wanted:
                return line

    def commit(self, text: str) -> None:
        """Ask it to."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Kill it, whatever it does."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(LIMIT_S)
        self._thread.join(LIMIT_S)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@contextmanager
def owner_process(site: ServedSite, *arguments: str) -> Iterator[OwnerProcess]:
    module = "tests.events.log.journal_process"
    started = OwnerProcess(
        subprocess.Popen(
            [sys.executable, "-m", module, *site.arguments(), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    )
    try:
        yield started
    finally:
        started.end()


def begin(log: Log, source: TopicPartition) -> Journal:
    headers = {"ce_type": "test.TermBegan"}
    return log.begin_term(source, Outgoing(source[0], "term", b"heir", headers, source[1]))


def texts(records: Sequence[Record]) -> list[str]:
    return [record.value.decode() for record in records]


def owns(one: Following, count: int) -> None:
    share([one], [count])


def test_a_killed_owner_is_followed_by_another(real_site: ServedSite) -> None:
    commands, events = real_site.topic("commands", 2), real_site.topic("events", 2)
    heir = join(real_site, [commands])
    group = real_site.name("group")
    with owner_process(real_site, group, commands, events) as other:
        other.expect("owns 2")
        other.commit("of the process")
        other.expect("committed")
        owns(heir, 1)
        other.process.kill()
        owns(heir, 2)
    journals = [begin(real_site.log, (events, number)) for number in range(2)]
    outcomes = real_site.log.commit([(each, outgoing(events, "of the heir")) for each in journals])
    assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
    for number in range(2):
        reader = real_site.closing(real_site.log.reader({(events, number): 0}))
        found = [text for text in texts(read_to_end(reader)) if text != "process"]
        assert found == ["of the process", "heir", "of the heir"]


def test_a_stopped_owner_that_wakes_up_is_fenced(real_site: ServedSite) -> None:
    """It believes that it owns what it owned before it was stopped; its journals do not."""
    commands, events = real_site.topic("commands", 2), real_site.topic("events", 2)
    with owner_process(real_site, real_site.name("group"), commands, events) as zombie:
        zombie.expect("owns 2")
        zombie.process.send_signal(signal.SIGSTOP)
        heir = join(real_site, [commands])
        owns(heir, 2)
        journals = [begin(real_site.log, (events, number)) for number in range(2)]
        outcomes = real_site.log.commit([(each, outgoing(events, "good")) for each in journals])
        assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
        zombie.commit("void")
        zombie.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            assert zombie.expect("committed", "Fenced", "LogUnavailable") == "Fenced"
        share_with(heir, zombie)
    for number in range(2):
        reader = real_site.closing(real_site.log.reader({(events, number): 0}))
        found = [text for text in texts(read_to_end(reader)) if text != "void"]
        assert found[:3] == ["process", "heir", "good"]


def share_with(heir: Following, zombie: OwnerProcess) -> None:
    """Until the process is a member again, with a partition of its own."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(zombie.expect, "owns 1")

        def back() -> bool:
            heir.step(0.1)
            return waiting.done()

        until(back, "the process owns a partition again")


def test_all_is_committed_once_though_the_server_dies(real_site: ServedSite) -> None:
    """An owner whose server is killed in the middle of commits begins another term, reads what
    the journal has, and goes on from there: nothing is lost, nothing is there twice."""
    source = (real_site.topic("events"), 0)
    some_done, killed = threading.Event(), threading.Event()

    def own() -> tuple[int, int]:
        log, terms = real_site.open(), 0
        written, last = 0, -1  # how many to write is known when the server was killed
        while last < 0 or written < last:
            try:
                journal = begin(log, source)
                terms += 1
                written = fold(real_site, log, source)
                while last < 0 or written < last:
                    batch = range(written, written + 3)
                    (outcome,) = log.commit([(journal, outgoing(source[0], *map(str, batch)))], 2.0)
                    if not isinstance(outcome, int):
                        break
                    written = batch.stop
                    if written >= SOME:
                        some_done.set()
                    if last < 0 and killed.is_set():
                        last = written + 3 * SOME
            except LogUnavailable:
                continue
        return terms, written

    with ThreadPoolExecutor(1) as thread:
        owning = thread.submit(own)
        assert some_done.wait(LIMIT_S)
        real_site.kill()
        killed.set()
        with pytest.raises(LogUnavailable):
            real_site.log.ping(0.5)
        real_site.start()
        terms, written = owning.result(LIMIT_S)
    assert terms > 1
    persistently(lambda: real_site.log.ping(1.0))
    reader = real_site.closing(real_site.log.reader({source: 0}))
    found = [text for text in texts(read_to_end(reader)) if text != "heir"]
    assert found == [str(n) for n in range(written)]


def fold(site: ServedSite, log: Log, source: TopicPartition) -> int:
    """How many numbers the journal has."""
    reader = log.reader({source: 0})
    try:
        return sum(text != "heir" for text in texts(read_to_end(reader)))
    finally:
        reader.close()


def test_all_goes_on_after_a_stop_of_the_server(real_site: ServedSite) -> None:
    topic = real_site.topic("events", 2)
    offset = real_site.log.append(outgoing(topic, "before"))[0]
    reader = real_site.reader(topic)
    assert len(read(reader, 1)) == 1
    one = join(real_site, [topic])
    one.take(1)
    identity = real_site.log.identity()
    real_site.stop()
    with pytest.raises(LogUnavailable):
        real_site.log.append(outgoing(topic, "nobody hears this"), timeout_s=0.5)
    with pytest.raises(LogUnavailable):
        real_site.log.ping(0.5)
    real_site.start()
    persistently(lambda: real_site.log.ping(1.0))
    appended: list[int] = []
    persistently(lambda: appended.extend(real_site.log.append(outgoing(topic, "after"))))
    assert appended[-1] > offset
    assert real_site.log.identity() == identity

    def read_on() -> bool:
        try:
            return any(record.value == b"after" for record in reader.poll(0.5))
        except LogUnavailable:
            return False

    def followed() -> bool:
        try:
            one.step()
        except LogUnavailable:
            return False
        return b"after" in [record.value for record in one.records]

    until(read_on, "the reader reads on")
    until(followed, "the member goes on")

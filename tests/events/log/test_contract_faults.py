"""The contract of a log under faults: killed and stopped processes, a server that goes away."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from events.log.contract import Fenced, LogUnavailable, Outgoing
from tests.events.log.site import (
    LIMIT_S,
    Consumer,
    ServedSite,
    after,
    outgoing,
    persistently,
    read,
    read_to_end,
    until,
)

ROOT = Path(__file__).parents[3]


class MemberProcess:
    """``member_process`` running; what it prints can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed: list[str] = []
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
            self.printed.append(line)
            if line in wanted:
                return line

    def transact(self) -> None:
        """Ask it to."""
        assert self.process.stdin is not None
        self.process.stdin.write("transact\n")
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
def member_process(site: ServedSite, *arguments: str) -> Iterator[MemberProcess]:
    started = MemberProcess(
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.events.log.member_process",
                *site.arguments(),
                *arguments,
            ],
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


def test_the_group_of_a_killed_member_goes_on(real_site: ServedSite) -> None:
    commands, events = real_site.topic("commands", 4), real_site.topic("events")
    real_site.log.append([Outgoing(commands, "", b"x", partition=n) for n in range(4)])
    group = real_site.name("group")
    with member_process(real_site, group, commands, events) as other:
        other.expect("owns 4")
        other.expect("read 4")
        other.transact()
        other.expect("committed")
        heir = Consumer(real_site.member("group", [commands]))
        heir.until_owns(2)
        other.process.kill()
        heir.until_owns(4)
    real_site.log.append([Outgoing(commands, "", b"y", partition=n) for n in range(4)])
    taken = heir.take(4)
    assert {record.value for record in taken} == {b"y"}
    heir.worker.transact(outgoing(events, "of the heir"), after(taken))
    assert [r.value for r in read_to_end(real_site.reader(events))] == [
        b"of the process",
        b"of the heir",
    ]


def test_a_stopped_member_that_wakes_up_is_fenced(real_site: ServedSite) -> None:
    commands, events = real_site.topic("commands", 2), real_site.topic("events")
    real_site.log.append([Outgoing(commands, "", b"x", partition=n) for n in range(2)])
    with member_process(real_site, real_site.name("group"), commands, events) as zombie:
        zombie.expect("read 2")
        zombie.process.send_signal(signal.SIGSTOP)
        heir = Consumer(real_site.member("group", [commands]))
        heir.until_owns(2)
        zombie.transact()
        zombie.process.send_signal(signal.SIGCONT)
        # It believes in what it read before it was stopped; the log does not.
        assert zombie.expect("fenced", "committed") == "fenced"
        taken = heir.records + heir.take(2 - len(heir.records))
        heir.until_owns(1)
        zombie.expect("owns 1")
        kept = [record for record in taken if record.source in heir.owned]
        heir.worker.transact(outgoing(events, "of the heir"), after(kept))
    assert [r.value for r in read_to_end(real_site.reader(events))] == [b"of the heir"]


def test_every_input_is_answered_once_though_the_server_dies(real_site: ServedSite) -> None:
    """Killed in the middle of transactions, once at any moment: nothing lost, nothing twice."""
    commands, events = real_site.topic("commands", 2), real_site.topic("events", 2)
    count = 900
    real_site.log.append([Outgoing(commands, f"k{n % 9}", str(n).encode()) for n in range(count)])
    finished = threading.Event()
    some_done = threading.Event()

    def decide() -> None:
        worker = real_site.member("group", [commands])
        done = 0
        while not finished.is_set():
            try:
                polled = worker.poll(0.2, 3)
                for source in polled.assigned:
                    worker.ready(source)
                if polled.records:
                    worker.transact(
                        [Outgoing(events, r.key, r.value) for r in polled.records],
                        after(polled.records),
                    )
                    done += len(polled.records)
                    if done > count // 10:
                        some_done.set()
            except LogUnavailable:
                persistently(worker.rewind)
            except Fenced:
                continue

    with ThreadPoolExecutor(1) as thread:
        deciding = thread.submit(decide)
        try:
            assert some_done.wait(LIMIT_S)
            real_site.kill()
            with pytest.raises(LogUnavailable):
                real_site.log.ping(0.5)
            real_site.start()
            reader = real_site.reader(events)
            answers: Counter[bytes] = Counter()

            def all_answered() -> bool:
                try:
                    answers.update(record.value for record in reader.poll(0.5))
                except LogUnavailable:
                    return False
                return len(answers) == count

            until(all_answered, "an answer to each input")
        finally:
            finished.set()
        deciding.result(LIMIT_S)
    answers.update(record.value for record in read_to_end(reader))
    assert answers == Counter({str(n).encode(): 1 for n in range(count)})


def test_all_goes_on_after_a_stop_of_the_server(real_site: ServedSite) -> None:
    topic = real_site.topic("events", 2)
    offset = real_site.log.append(outgoing(topic, "before"))[0]
    reader = real_site.reader(topic)
    assert len(read(reader, 1)) == 1
    consumer = Consumer(real_site.member("group", [topic]))
    consumer.worker.transact([], after(consumer.take(1)))
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

    def consumed() -> bool:
        try:
            consumer.step()
        except LogUnavailable:
            return False
        return bool(consumer.records) and consumer.records[-1].value == b"after"

    until(read_on, "the reader reads on")
    until(consumed, "the member goes on")
    consumer.worker.transact([], after(consumer.records))

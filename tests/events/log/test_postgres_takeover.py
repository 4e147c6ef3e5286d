"""Takeover on the Postgres log: killed and stopped owners, a server that is killed."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg2.extensions
import pytest

from events.log.contract import LogUnavailable, Outgoing
from tests.events.log.owner import TERM, Owner
from tests.events.log.site import LIMIT_S, PostgresSite, persistently, read_to_end, until
from tests.events.log.test_contract_members import Following, join, share

ROOT = Path(__file__).parents[3]
KILLED_S = 2.5
"""About two seconds from kill -9 to the heir's ownership, on a machine with other work."""
SESSION_S = 3.0


class OwnerProcess:
    """``owner`` running as a process; what it prints can be waited for."""

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

    def commit(self) -> None:
        """Ask it to write to its journals."""
        assert self.process.stdin is not None
        self.process.stdin.write("commit\n")
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
def owner_process(site: PostgresSite, *arguments: str) -> Iterator[OwnerProcess]:
    command = [sys.executable, "-m", "tests.events.log.owner", *site.arguments(), *arguments]
    started = OwnerProcess(
        subprocess.Popen(
            command,
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


def until_owns(member: Following, count: int) -> float:
    """How long it took in seconds."""
    began = time.monotonic()
    share([member], [count])
    return time.monotonic() - began


def test_partitions_of_a_killed_owner_are_taken_over_soon(
    postgres: PostgresSite, sql: psycopg2.extensions.cursor
) -> None:
    inputs, journals = postgres.topic("commands", 4), postgres.topic("events", 4)
    with owner_process(postgres, postgres.name("group"), inputs, journals) as other:
        other.expect("owns 4")
        heir = join(postgres, [inputs])
        other.commit()
        other.expect("committed committed committed committed")
        until_owns(heir, 2)

        def server_is_up_for_long() -> bool:
            heir.step()
            sql.execute("SELECT clock_timestamp() - pg_postmaster_start_time() > interval '3 s'")
            return bool(sql.fetchall() == [(True,)])

        # Just after its start members get time to come back.
        until(server_is_up_for_long, "the server is up for long")
        other.process.kill()
        assert until_owns(heir, 4) < KILLED_S


def test_a_stopped_owner_that_wakes_up_writes_nothing(postgres: PostgresSite) -> None:
    inputs, journals = postgres.topic("commands", 2), postgres.topic("events", 2)
    group = postgres.name("group")
    with owner_process(postgres, group, inputs, journals) as zombie:
        zombie.expect("owns 2")
        zombie.process.send_signal(signal.SIGSTOP)
        heir = Owner(postgres.log, group, inputs, journals)
        postgres.closing(heir.member)
        began = time.monotonic()
        until(lambda: heir.step() and len(heir.owned) == 2, "two partitions owned")
        assert time.monotonic() - began < SESSION_S + KILLED_S
        zombie.commit()
        zombie.process.send_signal(signal.SIGCONT)
        assert zombie.expect("fenced fenced", "committed committed") == "fenced fenced"
        until(lambda: heir.step() and len(heir.owned) == 1, "one partition given back")
        zombie.expect("owns 1")
        # The process has begun a term in the one that it got back.
        assert sorted(heir.commit("of the heir")) == ["committed", "fenced"]
    values = [r.value for r in read_to_end(postgres.reader(journals)) if r.key != TERM]
    assert values == [b"of the heir"]


def test_every_input_is_answered_once_though_the_server_dies(postgres: PostgresSite) -> None:
    """Killed in the middle of commits, once at any moment: nothing lost, nothing twice."""
    inputs, journals = postgres.topic("commands", 2), postgres.topic("events", 2)
    count = 900
    postgres.log.append(
        [Outgoing(inputs, "key", str(n).encode(), partition=n % 2) for n in range(count)]
    )
    finished, some_done = threading.Event(), threading.Event()
    owner = Owner(postgres.log, postgres.name("group"), inputs, journals)
    postgres.closing(owner.member)

    def decide() -> None:
        while not finished.is_set():
            persistently(owner.step)
            if owner.answered > count // 10:
                some_done.set()

    with ThreadPoolExecutor(1) as thread:
        deciding = thread.submit(decide)
        try:
            assert some_done.wait(LIMIT_S)
            postgres.kill()
            with pytest.raises(LogUnavailable):
                postgres.log.ping(0.5)
            postgres.start()
            reader = postgres.reader(journals)
            answers: Counter[bytes] = Counter()

            def all_answered() -> bool:
                try:
                    answers.update(r.value for r in reader.poll(0.5) if r.key != TERM)
                except LogUnavailable:
                    return False
                return len(answers) == count

            until(all_answered, "an answer to each input")
        finally:
            finished.set()
        deciding.result(LIMIT_S)
    answers.update(record.value for record in read_to_end(reader) if record.key != TERM)
    assert answers == Counter({str(n).encode(): 1 for n in range(count)})


def test_many_owners_that_come_and_go_answer_each_input_once(postgres: PostgresSite) -> None:
    """Three join one after the other, two leave: each takes over in the middle of the inputs."""
    inputs, journals = postgres.topic("commands", 6), postgres.topic("events", 6)
    count = 1200
    group = postgres.name("group")
    owners = [Owner(postgres.open(), group, inputs, journals) for _ in range(3)]
    reader = postgres.reader(journals)
    answers: Counter[bytes] = Counter()

    def step(active: list[Owner], enough: int) -> None:
        def done() -> bool:
            for owner in active:
                owner.step(0.01)
            answers.update(r.value for r in reader.poll(0.01) if r.key != TERM)
            return len(answers) >= enough

        until(done, f"{enough} answers, not {len(answers)}")

    postgres.log.append(
        [Outgoing(inputs, "key", str(n).encode(), partition=n % 6) for n in range(count)]
    )
    step(owners[:1], 100)
    step(owners[:2], 300)
    step(owners, 600)
    owners[0].member.close()
    step(owners[1:], 900)
    owners[1].member.close()
    step(owners[2:], count)
    owners[2].member.close()
    answers.update(record.value for record in read_to_end(reader) if record.key != TERM)
    assert answers == Counter({str(n).encode(): 1 for n in range(count)})

"""Several statements at once, each in a session of its own: Postgres runs one in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from projections.connection import Connection, connect

T = TypeVar("T")


def at_once(
    database_url: str, work: Sequence[Callable[[Connection], T]], sessions: int = 2
) -> list[T]:
    """Do all of ``work``, in ``sessions`` sessions; what each gave, in order. Raises the first
    failure once what is under way has ended."""
    free: SimpleQueue[Connection] = SimpleQueue()
    made: list[Connection] = []

    def do(one: Callable[[Connection], T]) -> T:
        connection = free.get()
        try:
            return one(connection)
        finally:
            free.put(connection)

    try:
        for _ in range(sessions):
            made.append(connect(database_url, "rebuild"))
            free.put(made[-1])
        with ThreadPoolExecutor(sessions, "rebuild") as threads:
            return list(threads.map(do, work))
    finally:
        for connection in made:
            connection.close()

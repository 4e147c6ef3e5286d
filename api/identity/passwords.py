"""Passwords and secrets: Argon2id hashes, made and verified in this process only.

What leaves it, towards the log and the database, is the hash in PHC string form. A verification
takes 29 ms of one core and 19 MiB (measured with the parameters below, OWASP's first choice), so
one runs at a time in each process and few wait: a flood of logins cannot take the API's memory or
threads. With two at a time 200 logins made reads wait 270 ms, with one 80 ms (two cores, busy).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from api.bus import Unavailable

MEMORY_KIB = 19456
PASSES = 2
AT_ONCE = 1
WAITING_MAX = 16
WAIT_MAX_S = 10.0


class Passwords:
    """Hashes and verifies. Thread-safe. Raises ``Unavailable`` when too much is asked at once."""

    def __init__(self, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1, type=Type.ID
        )
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._queue = threading.BoundedSemaphore(AT_ONCE + WAITING_MAX)
        self._nobodys = self._hasher.hash("")

    def hash(self, password: str) -> str:
        """A new hash, with a new salt."""
        with self._place():
            return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. No hash takes as long as a wrong password, and is wrong."""
        with self._place():
            try:
                right = self._hasher.verify(password_hash or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
        return right and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Whether it was hashed with other parameters than are used now."""
        return self._hasher.check_needs_rehash(password_hash)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._queue.acquire(blocking=False):
            raise Unavailable("Too many logins at once.")
        try:
            if not self._places.acquire(timeout=WAIT_MAX_S):
                raise Unavailable("Too many logins at once.")
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._queue.release()

"""The Fernet keys in a folder, as Keystone keeps its key repository.

Files are named by numbers: ``0`` is staged (it will be the next to seal with, and unseals
already, so that other API processes know it in time), the highest seals, the others only
unseal. ``rotate`` makes the staged key the primary one. The folder is 0700, its files 0600.

A crash halfway leaves a folder that works: the first keys appear by one rename, and a
rotation without its new staged key is completed by the next one.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from commands.numbers import is_whole_number

KEYS_MAX = 3
"""As Keystone's ``max_active_keys``: staged, primary, and the one before."""

STAGED = 0

LOADS_MAX = 5
"""Tries to read the folder while another process rotates, which takes it a millisecond."""


class BadToken(Exception):
    """Not sealed with a key of ours, or changed since."""


class TokenKeys:
    """Seals and unseals. Thread-safe; sees rotations by other processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        if not _numbers(folder):
            _make(folder)
        self._changed_ns = 0
        self._fernet = self._load()

    def seal(self, claims: bytes) -> str:
        """A token: URL-safe, without padding."""
        return self._current().encrypt(claims).decode().rstrip("=")

    def unseal(self, token: str) -> bytes:
        """What was sealed. Raises ``BadToken``."""
        try:
            padded = token + "=" * (-len(token) % 4)
            return self._current().decrypt(padded.encode("ascii"))
        except (InvalidToken, UnicodeEncodeError):
            raise BadToken("the token is not one of ours") from None

    def rotate(self, keys_max: int = KEYS_MAX) -> None:
        """Seal with the staged key from now on, stage a new one, drop the oldest."""
        with self._lock:
            numbers = _numbers(self._folder)
            primary = max(numbers) + 1
            if STAGED not in numbers:
                _write(self._folder, STAGED)
            (self._folder / str(STAGED)).rename(self._folder / str(primary))
            _write(self._folder, STAGED)
            kept = sorted(n for n in (*numbers, primary) if n != STAGED)
            for number in kept[: -(keys_max - 1)]:
                (self._folder / str(number)).unlink()

    def _current(self) -> MultiFernet:
        if self._folder.stat().st_mtime_ns != self._changed_ns:
            with self._lock:
                self._fernet = self._load()
        return self._fernet

    def _load(self) -> MultiFernet:
        for _ in range(LOADS_MAX):
            self._changed_ns = self._folder.stat().st_mtime_ns
            numbers = sorted(_numbers(self._folder), reverse=True)
            try:
                return MultiFernet([Fernet((self._folder / str(n)).read_bytes()) for n in numbers])
            except FileNotFoundError:
                continue  # another process is rotating: look again
        raise RuntimeError(f"the token keys in {self._folder} change all the time")


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(path.name) for path in folder.iterdir() if is_whole_number(path.name)]


def _make(folder: Path) -> None:
    """The first keys; when another process is faster, its keys are ours."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    for number in (STAGED, 1):
        _write(made, number)
    try:
        made.rename(folder)
    except OSError:
        if not _numbers(folder):
            raise
        for path in made.iterdir():
            path.unlink()
        made.rmdir()


def _write(folder: Path, number: int) -> None:
    """A new key, there at once and whole."""
    path = folder / f".{number}.new"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())
    path.rename(folder / str(number))

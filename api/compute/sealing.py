"""Secrets on their way to a host: sealed with a key that only the API and the hosts have.

Records hold the sealed form alone. Fernet (AES-128-CBC with HMAC-SHA-256), the key in one
file of mode 0600; whoever comes first makes it, and a crash in between leaves either no file or
a whole one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

PASSWORD_CHARACTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnopqrstuvwxyz"
"""Without those that look alike."""


class Unsealable(ValueError):
    """Not sealed with this key."""


class Sealer:
    """Seals and opens with one key. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        self._key = key

    def seal(self, secret: str) -> str:
        """The secret as it may be recorded."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises ``Unsealable``."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Unsealable("not sealed with this key") from None

    def fingerprint(self, content: bytes) -> str:
        """A hash (hex) that tells nothing to who lacks the key, however short the content."""
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def password(self, characters: int, source: str = "") -> str:
        """A password; the same one for the same ``source`` (empty: a new one)."""
        if not source:
            return "".join(secrets.choice(PASSWORD_CHARACTERS) for _ in range(characters))
        stream = hashlib.shake_256(hmac.digest(self._key, source.encode(), "sha256"))
        numbers = stream.digest(8 * characters)
        return "".join(
            PASSWORD_CHARACTERS[
                int.from_bytes(numbers[8 * i : 8 * i + 8]) % len(PASSWORD_CHARACTERS)
            ]
            for i in range(characters)
        )


@lru_cache(maxsize=16)
def sealer(path: Path) -> Sealer:
    """The sealer of the key in that file, which is made if there is none."""
    if not path.exists():
        _make(path)
    return Sealer(path.read_bytes().strip())


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".host-key-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()

"""The store of servers' secrets: user data and admin passwords, encrypted, outside of all records.

::

    sealed/<aa>/<secrets>              what one request gave to keep, encrypted; by its SHA-256
    keys/<aa>/<secrets>/<server>       the key of one server, 32 bytes; nothing opens without one

Each server of a request has a key of its own, which opens the key that the content is encrypted
with. A server's key is overwritten and removed when the server is deleted; from then on no copy
of ``sealed`` or of any record can be read with what is left. With the last key ``sealed`` goes too.

Files and no table, because a database keeps what it deletes: in dead rows, in its WAL, in the
archive of that. All is durable before the request's command is sent, so no server lacks its
secrets. A crash leaves files that no server refers to; a sweep removes them
(``chronova/secrets_keeper.py``). All steps may be repeated. Any number of threads and processes may
use one directory.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from commands.compute.secrets_request import Secrets
from events.compute.server import SecretsRef

KEY_BYTES = 32
NONCE_BYTES = 12
WRITERS = 16
SHA256 = re.compile(r"[0-9a-f]{64}")


class SecretsUnreadable(Exception):
    """The secrets are gone, or are not what the record says. The text is one sentence."""


class SecretsNotStored(Exception):
    """The store cannot take more; the text says why, for an operator."""


class Sealed(msgspec.Struct, frozen=True):
    """A file of ``sealed``. ``keys``: the content's key as each server's key opens it."""

    content: bytes
    keys: dict[str, bytes]


class Held(msgspec.Struct, frozen=True):
    """What the store holds of one request. ``since``: seconds since 1970."""

    secrets_id: str
    server_ids: list[str]
    since: float


class SecretStore:
    """The store in the directory ``root``, made when something is stored."""

    def __init__(self, root: Path) -> None:
        self._sealed = root / "sealed"
        self._keys = root / "keys"

    def put(self, server_ids: Collection[str], kept: Secrets) -> SecretsRef:
        """Store what these servers share, durably. Raises ``SecretsNotStored``."""
        keys = {server_id: secrets.token_bytes(KEY_BYTES) for server_id in server_ids}
        whole = msgspec.msgpack.encode(_seal(keys, kept))
        secrets_id = hashlib.sha256(whole).hexdigest()
        try:
            _write(self._path(secrets_id), whole)
            folder = self._folder(secrets_id)
            folder.mkdir(parents=True)
            _write_all({_key_path(folder, server_id): key for server_id, key in keys.items()})
            for changed in (folder, *folder.parents[:3], *self._path(secrets_id).parents[:2]):
                _sync(changed)
        except OSError as error:
            with suppress(OSError):
                self.drop_all(secrets_id)
            raise SecretsNotStored(f"The secrets could not be stored: {error}") from error
        return SecretsRef(
            secrets_id=secrets_id,
            user_data=kept.user_data is not None,
            stored_at=time.time_ns() // 1000,
        )

    def open(self, secrets_id: str, server_id: str) -> Secrets:
        """Return what is kept of a server. Raises ``SecretsUnreadable``."""
        try:
            whole = self._path(secrets_id).read_bytes()
            key = _key_path(self._folder(secrets_id), server_id).read_bytes()
        except (OSError, ValueError) as error:
            raise SecretsUnreadable(f"The secrets of server {server_id} are gone.") from error
        if hashlib.sha256(whole).hexdigest() != secrets_id:
            raise SecretsUnreadable(f"The secrets of server {server_id} are not what was stored.")
        try:
            return _open(msgspec.msgpack.decode(whole, type=Sealed), server_id, key)
        except (InvalidTag, ValueError, KeyError) as error:
            raise SecretsUnreadable(f"The secrets of server {server_id} are gone.") from error

    def drop(self, secrets_id: str, server_id: str) -> None:
        """Forget a server's key. What is not there is fine. Raises ``OSError``."""
        folder = self._folder(secrets_id)
        _shred(_key_path(folder, server_id))
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return  # other servers of the request live
        self._path(secrets_id).unlink(missing_ok=True)

    def drop_all(self, secrets_id: str) -> None:
        """Forget what one request gave to keep. What is not there is fine. Raises ``OSError``."""
        folder = self._folder(secrets_id)
        with suppress(FileNotFoundError):
            for path in list(folder.iterdir()):
                _shred(path)
            folder.rmdir()
        self._path(secrets_id).unlink(missing_ok=True)

    def held(self) -> Iterator[Held]:
        """Return all that is stored; what goes meanwhile may be left out."""
        for path in self._sealed.glob("*/*"):
            names: list[str] = []
            with suppress(FileNotFoundError):
                names = sorted(one.name for one in self._folder(path.name).iterdir())
            with suppress(FileNotFoundError):
                yield Held(path.name, names, path.stat().st_mtime)
        for folder in self._keys.glob("*/*"):
            with suppress(FileNotFoundError):
                if not self._path(folder.name).exists():
                    names = sorted(one.name for one in folder.iterdir())
                    yield Held(folder.name, names, folder.stat().st_mtime)

    def _path(self, secrets_id: str) -> Path:
        return self._sealed / _checked(secrets_id)[:2] / secrets_id

    def _folder(self, secrets_id: str) -> Path:
        return self._keys / _checked(secrets_id)[:2] / secrets_id


def _checked(secrets_id: str) -> str:
    """A record's id is a file's name here. Raises ``ValueError`` for what is no SHA-256."""
    if not SHA256.fullmatch(secrets_id):
        raise ValueError(f"{secrets_id!r} is no id of secrets")
    return secrets_id


def _key_path(folder: Path, server_id: str) -> Path:
    if server_id in ("", ".", "..") or "/" in server_id:
        raise ValueError(f"{server_id!r} is no file's name")
    return folder / server_id


def _seal(keys: dict[str, bytes], kept: Secrets) -> Sealed:
    content_key = secrets.token_bytes(KEY_BYTES)
    return Sealed(
        content=_encrypted(content_key, msgspec.msgpack.encode(kept), b""),
        keys={
            server_id: _encrypted(key, content_key, server_id.encode())
            for server_id, key in keys.items()
        },
    )


def _open(sealed: Sealed, server_id: str, key: bytes) -> Secrets:
    content_key = _decrypted(key, sealed.keys[server_id], server_id.encode())
    content = _decrypted(content_key, sealed.content, b"")
    return msgspec.msgpack.decode(content, type=Secrets)


def _encrypted(key: bytes, plain: bytes, about: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, about)


def _decrypted(key: bytes, whole: bytes, about: bytes) -> bytes:
    return AESGCM(key).decrypt(whole[:NONCE_BYTES], whole[NONCE_BYTES:], about)


def _write_all(files: Mapping[Path, bytes]) -> None:
    """Write several at once: what is synced together costs the file system little more than one
    (1,000 servers: 3.0 → 0.4 s, measured)."""
    if len(files) <= WRITERS:
        for path, content in files.items():
            _write(path, content)
        return
    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(_write, files.keys(), files.values()))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _shred(path: Path) -> None:
    """Overwrite a key where it lies, then remove it."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except (FileNotFoundError, NotADirectoryError):
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(bytes(KEY_BYTES))
        file.flush()
        os.fsync(descriptor)
    path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A host's own key: an Ed25519 key in its folder, made at its first start, which never leaves it.

Its public half goes into the host's registration. The first one counts: a host whose key is lost
is a new host.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from api.image.direct import load_key

FILE_NAME = "identity.key"


class HostKey:
    """Signs for one host. Thread-safe."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> str:
        """The public half, hex."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, content: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(content)


def host_key(folder: Path) -> HostKey:
    """Return the key of the host with this folder; made, for its owner only, if there is none."""
    return HostKey(load_key(folder / FILE_NAME))


def verify(public_key: str, signature: bytes, content: bytes) -> bool:
    """Whether the key with this public half (hex) made this signature of ``content``."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True

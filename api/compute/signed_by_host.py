"""What hosts sign instead of showing a token, and how an answer is sealed for them."""

from __future__ import annotations

import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from api.compute.faults import forbidden
from commands.compute.secrets_request import VALID_S

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


def check_signature(host: str, public_key: str, signature: bytes, content: bytes) -> None:
    """Raise 403 where ``content`` is not signed with the host's key (public half, hex)."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, content)
    except (InvalidSignature, ValueError):
        raise forbidden(f"This is not signed with the key of host {host}.") from None


def check_age(at: int) -> None:
    """Raise 403 for a request that was not made now (``at``: seconds since 1970)."""
    if abs(time.time() - at) > VALID_S:
        raise forbidden("The request is too old, or the host's clock is wrong.")


def sealed_for(answer_key: bytes, content: bytes, info: bytes) -> bytes:
    """Return ``content`` sealed for this X25519 key."""
    return SUITE.encrypt(content, X25519PublicKey.from_public_bytes(answer_key), info)

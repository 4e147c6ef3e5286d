"""Signed links to an image's data, for hosts only, valid for a short time.

A host that may boot an image gets the link with its work and needs no token. The signature
covers the data's SHA-512 and the expiry, so a link opens nothing else and no longer; who holds
the key (the decider that makes links, the API that honours them) is trusted with all images.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

PATH = "/image/v2/direct"


def sign(key: bytes, sha512: str, expires: int) -> str:
    """The query (``expires=…&signature=…``) that opens ``sha512`` until ``expires``, in seconds
    since 1970."""
    return urlencode({"expires": expires, "signature": _signature(key, sha512, expires)})


def link(key: bytes, sha512: str, expires: int) -> str:
    """Path and query of the link, to be put after the API's address."""
    return f"{PATH}/{sha512}?{sign(key, sha512, expires)}"


def opens(key: bytes, sha512: str, expires: int, signature: str, now: int) -> bool:
    """Whether the signature is right and has not expired at ``now`` (seconds since 1970)."""
    right = hmac.compare_digest(
        _signature(key, sha512, expires).encode(), signature.encode("utf-8", "replace")
    )
    return right and now < expires


def _signature(key: bytes, sha512: str, expires: int) -> str:
    return hmac.new(key, f"{sha512}\n{expires}".encode(), hashlib.sha256).hexdigest()

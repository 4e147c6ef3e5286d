"""Requests of hosts to the API, which are signed, and the answers, which are sealed for one key."""

from __future__ import annotations

import http.client
from contextlib import closing
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from commands.compute.secrets_request import Sealed

ANSWER_BYTES_MAX = 1 << 20
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


def post(api_url: str, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
    """Return the answer's status and body. Raises ``http.client.HTTPException``, ``OSError``."""
    api = urlsplit(api_url)
    kind = http.client.HTTPSConnection if api.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json"}
    with closing(kind(api.hostname or "", api.port, timeout=timeout_s)) as connection:
        connection.request("POST", api.path.rstrip("/") + path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)


def opened(body: bytes, answer_key: X25519PrivateKey, info: bytes) -> bytes:
    """Return what is sealed in an answer. Raises ``ValueError`` for a broken one."""
    try:
        sealed = msgspec.json.decode(body, type=Sealed).sealed
        return SUITE.decrypt(sealed, answer_key, info)
    except (msgspec.DecodeError, InvalidTag) as error:
        raise ValueError("a broken answer") from error


def message_of(body: bytes) -> str:
    """Return what the API says in Nova's form of errors."""
    try:
        errors = msgspec.json.decode(body, type=dict[str, dict[str, object]])
        return str(next(iter(errors.values()))["message"])[:500]
    except (msgspec.DecodeError, StopIteration, KeyError):
        return "no reason was given"

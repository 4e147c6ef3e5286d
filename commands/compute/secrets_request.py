"""What a host sends to the API to read a server's secrets, and what it gets.

The request is signed with the host's own key, whose public half came with its registration. It
names an X25519 key that the host made for this one answer; the answer is sealed for that key
(HPKE, RFC 9180). So nobody else can read it, also not with the host's own key later on.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.message import HOST_NAME

PATH = "/compute/v2.1/host-secrets"
INFO = b"chronova host-secrets 1"
"""The context that both sides bind the seal to."""

VALID_S = 300
"""For so long a request counts; hosts' clocks may differ by some minutes."""

Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\A[^\0]*\Z")]
"""Postgres can hold U+0000 in no text, and cannot be asked for one either."""
Host = Annotated[str, HOST_NAME.meta]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. ``at``: when, in seconds since 1970; ``answer_key``: X25519, raw."""

    host: Host
    server_id: Name
    project_id: Name
    generation: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    secrets_id: Name
    at: int
    answer_key: Key


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The body: ``Asked`` as JSON, byte for byte as signed, and the Ed25519 signature."""

    asked: Annotated[bytes, msgspec.Meta(max_length=4096)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: ``Secrets`` as JSON, sealed for ``answer_key``."""

    sealed: bytes


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a server. ``user_data`` is base64, as in the API."""

    user_data: str | None = None
    admin_password: str | None = None

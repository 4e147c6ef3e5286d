"""What a host sends to the API to get its report key, and what it gets.

One request may be for several hosts of one agent; each signs the same content with its own key. The
answer is sealed for a key that was made for it alone, as in ``secrets_request``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from commands.compute.secrets_request import Host, Key

PATH = "/compute/v2.1/host-report-keys"
INFO = b"chronova host-report-keys 1"
"""The context that both sides bind the seal to."""

HOSTS_MAX = 100
"""Hosts in one request."""


class AskedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. ``at``: when, in seconds since 1970; ``answer_key``: X25519, raw."""

    hosts: Annotated[list[Host], msgspec.Meta(min_length=1, max_length=HOSTS_MAX)]
    at: int
    answer_key: Key


class KeysRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body: ``AskedKeys`` as JSON, byte for byte as signed, and the Ed25519 signature of each
    host, in the order of ``hosts``."""

    asked: Annotated[bytes, msgspec.Meta(max_length=32768)]
    signatures: Annotated[
        list[Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]],
        msgspec.Meta(min_length=1, max_length=HOSTS_MAX),
    ]


class ReportKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, once opened: the key of each host that is known (``events.host_proof``)."""

    keys: dict[Host, Key]

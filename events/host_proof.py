"""Proof of who wrote a record to a topic that hosts share: reports, and heartbeats.

A log does not tell who appended a record. So each carries a header: a MAC with a key that only its
host and the control plane have, or, when a host registers, a signature with the host's own key. It
covers topic, key, id and value. Hosts may not read these topics, so none can copy another's record.

``report_key`` derives a host's key from the site's master key, the host's name and its public key.
The API gives it only to the host that registered with both (``api.compute.host_report_keys``), so a
MAC that holds was made by that host. Services of the control plane have the master key itself.

Until a process was given the master key (``Checks.use``) it believes every record, as the tests of
single parts do.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Protocol

import msgspec

from events.fleet.heartbeat import COMPUTE, Heartbeat
from events.log.contract import Outgoing, Record
from events.message import Message

HEADER = "ce_hostproof"
MAC, SIGNATURE = "mac", "ed25519"
"""Forms of the header: ``mac:HOST:PUBLIC KEY:MAC``, ``ed25519:PUBLIC KEY:SIGNATURE``, all hex."""

MAC_BYTES = 16
MASTER_BYTES = 32
PUBLIC_KEY_CHARS = 64
KEYS_MAX = 20_000
"""Hosts whose keys a process holds, 0.4 KiB each."""

NOBODY = ("", "")
"""Host and public key of the control plane's own services."""

_pack = msgspec.msgpack.Encoder().encode


class Unproved(Exception):
    """The record was not written by the host that it names, or does not show it; one sentence."""


class Signer(Protocol):
    """A host's own key."""

    @property
    def public(self) -> str:
        """The public half, hex."""

    def sign(self, content: bytes) -> bytes:
        """Return the Ed25519 signature."""


class Proofs(Protocol):
    """Adds to records the proof of the host that writes them."""

    def add(self, record: Outgoing, message: Message) -> Outgoing:
        """Return ``record``, which holds ``message``, with its proof."""


class NoProofs:
    """``Proofs`` where nobody checks them."""

    def add(self, record: Outgoing, message: Message) -> Outgoing:
        """Return ``record`` as it is."""
        return record


class HostProofs:
    """The proofs of the hosts of one agent. ``report_keys``: by host; may be filled later, before
    anything but a registration is written. Thread-safe."""

    def __init__(self, signers: Mapping[str, Signer], report_keys: Mapping[str, bytes]) -> None:
        self._signers = signers
        self._keys = report_keys
        self._public = {host: signer.public for host, signer in signers.items()}

    def add(self, record: Outgoing, message: Message) -> Outgoing:
        """Return ``record`` with its proof. Raises ``KeyError`` for a host without a key."""
        host: str = message.host  # type: ignore[attr-defined]
        if registers(message):
            signature = self._signers[host].sign(content_of(record)).hex()
            return _with_proof(record, f"{SIGNATURE}:{self._public[host]}:{signature}")
        return _with_mac(record, self._keys[host], host, self._public[host])


def report_key(master: bytes, host: str, public_key: str) -> bytes:
    """Return the key, 32 bytes, of the host of this name that has this key (public half, hex)."""
    named = _pack((host, public_key))
    return blake2b(named, key=master, digest_size=32, person=b"chronova-reports").digest()


def content_of(record: Record | Outgoing) -> bytes:
    """Return what a proof covers. Each part has its length before it."""
    return _pack((record.topic, record.key, record.headers.get("ce_id", ""), record.value))


def registers(message: Message) -> bool:
    """Whether this is a registration: it names the public key, and so proves itself by that."""
    return "public_key" in message.__struct_fields__


def _mac(content: bytes, key: bytes) -> str:
    return blake2b(content, key=key, digest_size=MAC_BYTES).hexdigest()


def _with_mac(record: Outgoing, key: bytes, host: str, public_key: str) -> Outgoing:
    mac = _mac(content_of(record), key)
    return _with_proof(record, f"{MAC}:{host}:{public_key}:{mac}")


def _with_proof(record: Outgoing, proof: str) -> Outgoing:
    made = {**record.headers, HEADER: proof}
    return Outgoing(record.topic, record.key, record.value, made, record.partition)


Verify = Callable[[str, bytes, bytes], bool]
"""Whether the Ed25519 key (public half, hex) made this signature of this content."""

Refused = Callable[[Record, str], None]
"""Told of each record that is not believed, and why."""


class Checks:
    """Checks proofs with the site's master key, and makes those of the control plane's services.
    Thread-safe once ``use`` has been called."""

    def __init__(self) -> None:
        self._verify: Verify | None = None
        self._refused: Refused = lambda *_: None
        self._key_of: Callable[[str, str], bytes] | None = None

    def use(self, master: bytes, verify: Verify, refused: Refused = lambda *_: None) -> None:
        """Believe from now on only what is proved. ``ValueError`` for a master key that is none."""
        if len(master) != MASTER_BYTES:
            raise ValueError(f"the master key must have {MASTER_BYTES} bytes")

        self._verify, self._refused = verify, refused
        self._key_of = lru_cache(KEYS_MAX)(partial(report_key, master))

    def forget(self) -> None:
        """Believe every record, as before ``use``."""
        self._verify = self._key_of = None

    def prove(self, record: Outgoing) -> Outgoing:
        """Return a record of a service of the control plane, with its proof."""
        if self._key_of is None:
            return record
        return _with_mac(record, self._key_of(*NOBODY), *NOBODY)

    def check(self, record: Record, message: Message, registered: str = "") -> None:
        """Check that ``message``, which ``record`` holds, is of the host that it names.

        ``registered``: the public key with which that host is registered, where this is known. Else
        a host that was removed, and whose name another machine has now, is believed too.
        Raises ``Unproved``.
        """
        if self._key_of is None or self._verify is None:
            return
        try:
            reason = self._fault(self._key_of, self._verify, record, message, registered)
        except UnicodeEncodeError:
            reason = "its proof is no text"
        if reason:
            self._refused(record, reason)
            raise Unproved(reason)

    def _fault(
        self,
        key_of: Callable[[str, str], bytes],
        verify: Verify,
        record: Record,
        message: Message,
        registered: str,
    ) -> str:
        host = _writer_of(message)
        kind, *parts = record.headers.get(HEADER, "").split(":")
        if registers(message):
            if kind != SIGNATURE or len(parts) != 2:
                return "the registration is not signed"
            if parts[0] != getattr(message, "public_key"):  # noqa: B009 - not all messages have it
                return "the registration is signed with another key than it names"
            if not verify(parts[0], _bytes(parts[1]), content_of(record)):
                return "the signature of the registration does not hold"
            return ""
        if kind != MAC or len(parts) != 3 or len(parts[1]) > PUBLIC_KEY_CHARS:
            return "it has no proof of who wrote it"
        if parts[0] != host:
            return f"it is said in the name of {host!r} with the proof of {parts[0]!r}"
        if registered and parts[1] != registered:
            return f"its proof is that of another machine than {host!r} is now"
        mac = _mac(content_of(record), key_of(parts[0], parts[1]))
        if not hmac.compare_digest(mac.encode(), parts[2].encode()):
            return f"its proof is not that of {host!r}"
        return ""


def _writer_of(message: Message) -> str:
    """The host in whose name a report or heartbeat speaks; empty for the control plane's."""
    if isinstance(message, Heartbeat) and message.binary != COMPUTE:
        return NOBODY[0]
    host: str = getattr(message, "host", NOBODY[0])
    return host


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


SITE = Checks()
"""Those of this process; the roles of the control plane give it the key
(``chronova.connections.check_proofs``)."""

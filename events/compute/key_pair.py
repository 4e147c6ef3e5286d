"""Key pairs: the public halves of users' keys. The private half is never in a record."""

from __future__ import annotations

from typing import Annotated, ClassVar, assert_never

import msgspec

from events.aggregate import Aggregate, register
from events.message import Event, Key, Text, UserId

KeyPairId = Annotated[Key, "User id, a slash, the key pair's name."]


def key_pair_id(user_id: str, name: str) -> str:
    """The id of a user's key pair."""
    return f"{user_id}/{name}"


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair's state. ``type`` is ssh or x509."""

    user_id: str
    name: str
    type: str
    public_key: str
    fingerprint: str
    created_at: int
    deleted: bool = False


class KeyPairFact(Event, frozen=True, kw_only=True):
    """Base of the facts of one key pair."""

    abstract: ClassVar[bool] = True
    folds = (("key_pair", "key_pair_id"),)
    key_pair_id: KeyPairId


class KeyPairImported(KeyPairFact, frozen=True, kw_only=True):
    """A user's public key was stored (the private half, if generated, went to its user only)."""

    user_id: UserId
    key_name: Annotated[str, "Name, unique among the user's key pairs."]
    type: Annotated[str, "ssh or x509."]
    public_key: Annotated[Text, "OpenSSH line or PEM certificate."]
    fingerprint: Annotated[str, "MD5 (ssh) or SHA-1 (x509), in colon form."]


class KeyPairDeleted(KeyPairFact, frozen=True, kw_only=True):
    """A key pair was deleted; servers keep the copy they were made with."""


Fact = KeyPairImported | KeyPairDeleted


def evolve(pair: KeyPair | None, event: Fact) -> KeyPair | None:
    """The key pair after ``event``."""
    match event:
        case KeyPairImported():
            return KeyPair(
                user_id=event.user_id,
                name=event.key_name,
                type=event.type,
                public_key=event.public_key,
                fingerprint=event.fingerprint,
                created_at=event.at,
            )
        case KeyPairDeleted():
            return pair and msgspec.structs.replace(pair, deleted=True)
        case _:
            assert_never(event)


register(Aggregate("key_pair", "compute", KeyPair, evolve, gone=lambda pair: pair.deleted))

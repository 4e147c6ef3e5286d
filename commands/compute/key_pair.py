"""Import and delete key pairs. A generated private half never gets here: its user alone has it."""

from __future__ import annotations

from typing import Annotated

from commands.compute import limits
from commands.decision import Decision, View, accept, decides, decides_on_view, refuse
from commands.lookup import lookup
from events.compute.key_pair import KeyPair, KeyPairDeleted, KeyPairImported, key_pair_id
from events.message import Command, Key, Text, UserId

_owned = lookup("key_pair.by_user", "key_pair", lambda pair: (pair.user_id,))


class ImportKeyPair(Command, frozen=True, kw_only=True):
    """Store the public half of a key pair."""

    user_id: UserId
    name: Annotated[str, "Name, unique among the user's key pairs."]
    type: Annotated[str, "ssh or x509."]
    public_key: Annotated[Text, "OpenSSH line or PEM certificate."]
    fingerprint: Annotated[str, "MD5 (ssh) or SHA-1 (x509), in colon form."]
    limit: Annotated[int, "Key pairs that the user may have; -1: no limit."] = limits.QUOTAS[
        "key_pairs"
    ]


class DeleteKeyPair(Command, frozen=True, kw_only=True):
    """Delete a key pair."""

    user_id: UserId
    name: Annotated[str, "Its name."]
    key_pair_id: Annotated[Key, "User id, a slash, its name."]


@decides_on_view(ImportKeyPair)
def import_key_pair(view: View, command: ImportKeyPair, at: int) -> Decision:
    """200/201, 403 (quota) or 409 (name taken)."""
    id = key_pair_id(command.user_id, command.name)
    if view.get("key_pair", id) is not None:
        return refuse(409, "conflictingRequest", f"Key pair '{command.name}' already exists.")
    if 0 <= command.limit <= len(_owned(view, command.user_id)):
        return refuse(403, "forbidden", "Quota exceeded, too many key pairs.")
    return accept(
        KeyPairImported(
            at=at,
            key_pair_id=id,
            user_id=command.user_id,
            key_name=command.name,
            type=command.type,
            public_key=command.public_key,
            fingerprint=command.fingerprint,
        )
    )


@decides(DeleteKeyPair, "key_pair", key="key_pair_id")
def delete_key_pair(pair: KeyPair | None, command: DeleteKeyPair, at: int) -> Decision:
    """202/204 or 404."""
    if pair is None:
        return refuse(
            404,
            "itemNotFound",
            f"Keypair {command.name} not found for user {command.user_id}",
        )
    return accept(KeyPairDeleted(at=at, key_pair_id=command.key_pair_id))

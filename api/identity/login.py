"""Who proves to be whom: the methods password, token and application_credential.

A failed proof is 401 and says nothing of its reason; only what is wrong with the request's form
is said (400).
"""

from __future__ import annotations

from typing import Any

import falcon
import msgspec

from api.bus import Refused, Unavailable
from api.identity.answers import unauthorized
from api.identity.directory import Directory
from api.tokens.claims import METHODS, Claims
from api.tokens.keys import BadToken
from api.tokens.reading import now
from commands.identity.password import RehashPassword
from projections.identity.accounts import Account, Named, Secret, account, secret


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has proved to be itself, and by what."""

    user_id: str
    method: str
    parent: Claims | None = None
    """What the token said that was the proof."""
    credential: Secret | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """All proofs of a request, of one and the same user."""

    user_id: str
    methods: tuple[str, ...]
    parent: Claims | None
    credential: Secret | None


class Logins:
    """Checks proofs."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._methods = {
            "password": self._password,
            "token": self._token,
            "application_credential": self._credential,
        }

    def login(self, req: falcon.Request, identity: dict[str, Any]) -> Login:
        """The user of ``auth.identity``. Raises 400 or 401."""
        proofs = [self._proof(req, identity, method) for method in identity["methods"]]
        if len({proof.user_id for proof in proofs}) != 1:
            raise unauthorized()
        parent = next((p.parent for p in proofs if p.parent), None)
        methods = {proof.method for proof in proofs} | set(parent.methods if parent else ())
        return Login(
            user_id=proofs[0].user_id,
            methods=tuple(method for method in METHODS if method in methods),
            parent=parent,
            credential=next((p.credential for p in proofs if p.credential), None),
        )

    def _proof(self, req: falcon.Request, identity: dict[str, Any], method: str) -> Proof:
        prove = self._methods.get(method)
        if prove is None:
            raise unauthorized(f"Attempted to authenticate with an unsupported method: {method}.")
        if method not in identity:
            raise falcon.HTTPBadRequest(
                description=f"Expecting to find {method} in identity. The server could not comply "
                "with the request since it is either malformed or otherwise incorrect."
            )
        return prove(req, identity[method])

    def _password(self, req: falcon.Request, block: dict[str, Any]) -> Proof:
        found = account(self._directory.engine, user_named(block["user"]))
        self.verify(req, found, block["user"]["password"])
        assert found is not None  # verify lets nobody pass
        return Proof(user_id=found.user_id, method="password")

    def verify(self, req: falcon.Request, found: Account | None, password: str) -> str:
        """The hash that the password was verified against. Raises 401.

        One that was made with older parameters is renewed on the way, which is no part of the
        login: when it cannot be done now, the next login does it.
        """
        kept = found.password_hash if found else None
        passwords = self._directory.passwords
        if not passwords.verify(kept, password) or found is None or kept is None:
            raise unauthorized()
        if passwords.outdated(kept):
            renewed = RehashPassword(
                user_id=found.user_id,
                verified_hash=kept,
                password_hash=passwords.hash(password),
            )
            try:
                self._directory.send(req, renewed, found.domain_id)
            except (Refused, Unavailable):
                return kept
            return renewed.password_hash
        return kept

    def _token(self, req: falcon.Request, block: dict[str, Any]) -> Proof:
        try:
            session = self._directory.reader.read(block["id"])
        except BadToken:
            raise unauthorized() from None
        return Proof(user_id=session.claims.user_id, method="token", parent=session.claims)

    def _credential(self, req: falcon.Request, block: dict[str, Any]) -> Proof:
        engine = self._directory.engine
        if "id" in block:
            found = secret(engine, block["id"])
        else:
            if "name" not in block or "user" not in block:
                raise falcon.HTTPBadRequest(
                    description="An application credential is named by its id, or by its name "
                    "and its user."
                )
            user = account(engine, user_named(block["user"]))
            found = secret(engine, None, block["name"], user.user_id if user else "")
        right = self._directory.passwords.verify(
            found.secret_hash if found else None, block["secret"]
        )
        if not right or found is None:
            raise unauthorized()
        if found.expires_at is not None and found.expires_at <= now():
            raise unauthorized()
        return Proof(user_id=found.user_id, method="application_credential", credential=found)


def user_named(user: dict[str, Any]) -> Named:
    """A user of a request. Raises 400 for a name without a domain."""
    return named(user, "user")


def named(given: dict[str, Any], kind: str) -> Named:
    """Something by its id, or by its name and domain. Raises 400 when neither is there."""
    if given.get("id"):
        return Named(id=given["id"])
    domain = given.get("domain") or {}
    if not given.get("name"):
        raise falcon.HTTPBadRequest(description=f"Expecting to find id or name in {kind}.")
    if not domain.get("id") and not domain.get("name"):
        raise falcon.HTTPBadRequest(
            description=f"Expecting to find domain in {kind}. The server could not comply with the "
            "request since it is either malformed or otherwise incorrect."
        )
    return Named(name=given["name"], domain_id=domain.get("id"), domain_name=domain.get("name"))

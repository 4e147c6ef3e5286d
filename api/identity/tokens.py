"""``/v3/auth/tokens``: give, show, check and revoke tokens."""

from __future__ import annotations

from typing import Any

import falcon

from api.http.body import read_object, write_json
from api.identity.catalog import catalog
from api.identity.directory import Directory, Resource, caller_of
from api.identity.login import Login, Logins
from api.identity.policy import Target, authorize
from api.identity.scopes import Scopes
from api.identity.token_request import REQUEST
from api.tokens.claims import Claims, new_audit_id, seal
from api.tokens.keys import BadToken
from api.tokens.reading import EXPIRED_WINDOW_S, Session, now
from commands.identity.token import RevokeToken
from projections.identity.standing import Standing
from projections.instants import microseconds


class Tokens(Resource):
    """Tokens. POST needs none; the others name the token in ``X-Subject-Token``."""

    public_methods = ("POST",)

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory)
        self._logins = Logins(directory)
        self._scopes = Scopes(directory.engine)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """201 with a new token in ``X-Subject-Token``."""
        body: Any = read_object(req, self.directory.settings.body_bytes_max)
        REQUEST.check(body)
        login = self._logins.login(req, body["auth"]["identity"])
        stands = self._scopes.standing(login, body["auth"].get("scope"))
        claims = self._claims(login, stands)
        resp.set_header("X-Subject-Token", seal(self.directory.keys, claims))
        self._answer(req, resp, Session(claims, stands), 201)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The token's body."""
        token, session = self._subject(req)
        target = Target(user_id=session.claims.user_id)
        authorize(caller_of(req), "validate_token", target)
        resp.set_header("X-Subject-Token", token)
        self._answer(req, resp, session, 200)

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 when the token holds."""
        token, session = self._subject(req)
        authorize(caller_of(req), "check_token", Target(user_id=session.claims.user_id))
        resp.set_header("X-Subject-Token", token)
        resp.status = 200

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """204; the token is refused from now on."""
        _, session = self._subject(req)
        claims, stands = session.claims, session.standing
        authorize(caller_of(req), "revoke_token", Target(user_id=claims.user_id))
        command = RevokeToken(
            audit_id=claims.audit_ids[0],
            user_id=claims.user_id,
            expires_at=claims.expires_at + EXPIRED_WINDOW_S * 1_000_000,
        )
        self.directory.send(req, command, stands.user_domain_id)
        resp.status = 204

    def _subject(self, req: falcon.Request) -> tuple[str, Session]:
        token = req.get_header("x-subject-token") or ""
        try:
            allow_expired = req.get_param("allow_expired") not in (None, "0", "false", "False")
            return token, self.directory.reader.read(token, allow_expired)
        except BadToken:
            raise falcon.HTTPNotFound(description="Failed to validate token") from None

    def _claims(self, login: Login, stands: Standing) -> Claims:
        # A moment after the last thing that ended tokens: the decider's clock may be ahead of ours.
        issued_at = max(now(), stands.valid_from + 1)
        expires_at = issued_at + self.directory.settings.token_ttl_s * 1_000_000
        if login.credential and login.credential.expires_at is not None:
            expires_at = min(expires_at, login.credential.expires_at)
        audit_ids: tuple[str, ...] = (new_audit_id(),)
        if login.parent is not None:
            expires_at = login.parent.expires_at
            audit_ids = (*audit_ids, login.parent.audit_ids[-1])
        return Claims(
            user_id=login.user_id,
            scope=stands.scope,
            methods=login.methods,
            issued_at=issued_at,
            expires_at=expires_at,
            audit_ids=audit_ids,
            credential_id=stands.credential.id if stands.credential else "",
        )

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, session: Session, status: int
    ) -> None:
        body = token_body(session)
        if session.standing.scope.kind and "nocatalog" not in req.params:
            body["catalog"] = catalog(self.directory.settings)
        write_json(resp, {"token": body}, status)


def token_body(session: Session) -> dict[str, Any]:
    """What Keystone says of a token, without the catalog."""
    claims, stands = session.claims, session.standing
    body: dict[str, Any] = {
        "methods": list(claims.methods),
        "user": {
            "id": stands.user_id,
            "name": stands.user_name,
            "domain": {"id": stands.user_domain_id, "name": stands.user_domain_name},
            "password_expires_at": None,
        },
        "audit_ids": list(claims.audit_ids),
        "expires_at": f"{microseconds(claims.expires_at)}Z",
        "issued_at": f"{microseconds(claims.issued_at)}Z",
    }
    if not stands.scope.kind:
        return body
    body["roles"] = [{"id": id, "name": name} for id, name in stands.roles]
    own = {"id": stands.scope.id, "name": stands.scope_name}
    if stands.scope.kind == "project":
        domain = {"id": stands.scope_domain_id, "name": stands.scope_domain_name}
        body |= {"project": {**own, "domain": domain}, "is_domain": False}
    elif stands.scope.kind == "domain":
        body["domain"] = own
    else:
        body["system"] = {"all": True}
    if stands.credential is not None:
        body["application_credential"] = {
            "id": stands.credential.id,
            "name": stands.credential.name,
            "restricted": not stands.credential.unrestricted,
        }
    return body

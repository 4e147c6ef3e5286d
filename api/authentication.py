"""From a token to its caller, on every request's way in.

A token that was found to hold is believed for ``RECHECK_S`` without looking again, so that the
common request costs a dictionary look-up. Every identity write ends that belief (``changes``): of
this process at once, so that whoever revoked a token or changed a password finds it refused by
the next request; of another as soon as the projection announces it, or after ``RECHECK_S``.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict

import msgspec

from api.caller import Caller
from api.services import Services
from api.tokens.keys import BadToken, TokenKeys
from api.tokens.reading import Session, TokenReader, now

RECHECK_S = 5.0
CALLERS_MAX = 10_000
"""Bound of the remembered tokens, about 1.5 KiB each."""


class Unauthenticated(Exception):
    """The token does not hold."""


class Changes:
    """How many identity writes this process has made or heard of. Thread-safe."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def advance(self) -> None:
        """There was one: nothing that was looked up before is to be believed."""
        with self._lock:
            self.count += 1


changes = Changes()
"""Of this process; shared by all its API applications, which costs them a look-up at most."""


class _Known(msgspec.Struct, frozen=True):
    caller: Caller
    looked_at: float
    changes: int


class Authenticator:
    """``authenticate`` gives the caller of a token. Thread-safe."""

    def __init__(self, services: Services, recheck_s: float = RECHECK_S) -> None:
        keys = TokenKeys(services.settings.token_keys_path)
        self._reader = TokenReader(services.engine, keys)
        self._recheck_s = recheck_s
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def authenticate(self, token: str) -> Caller:
        """The caller. Raises ``Unauthenticated``."""
        known = self._known.get(token)
        if (
            known is not None
            and known.changes == changes.count
            and time.monotonic() - known.looked_at < self._recheck_s
            and known.caller.expires_at > now()
        ):
            return known.caller
        return self._look(token)

    def _look(self, token: str) -> Caller:
        # Taken before looking: a change meanwhile makes what is seen worthless.
        looked_at, count = time.monotonic(), changes.count
        try:
            session = self._reader.read(token)
        except BadToken:
            with self._lock:
                self._known.pop(token, None)
            raise Unauthenticated from None
        caller = caller_of(session, token)
        with self._lock:
            self._known[token] = _Known(caller, looked_at, count)
            self._known.move_to_end(token)
            while len(self._known) > CALLERS_MAX:
                self._known.popitem(last=False)
        return caller


def caller_of(session: Session, token: str) -> Caller:
    """The caller of a token that holds."""
    claims, standing = session.claims, session.standing
    kind = standing.scope.kind
    in_project = kind == "project"
    return Caller(
        user_id=standing.user_id,
        user_name=standing.user_name,
        user_domain_id=standing.user_domain_id,
        user_domain_name=standing.user_domain_name,
        project_id=standing.scope.id if in_project else None,
        project_name=standing.scope_name if in_project else "",
        project_domain_id=standing.scope_domain_id,
        project_domain_name=standing.scope_domain_name,
        domain_id=standing.scope.id if kind == "domain" else None,
        domain_name=standing.scope_name if kind == "domain" else "",
        system=kind == "system",
        roles=frozenset(name for _, name in standing.roles),
        role_ids=frozenset(id for id, _ in standing.roles),
        application_credential_id=claims.credential_id or None,
        unrestricted=standing.credential is None or standing.credential.unrestricted,
        token_id_hash=hashlib.sha256(token.encode()).hexdigest()[:16],
        expires_at=claims.expires_at,
    )

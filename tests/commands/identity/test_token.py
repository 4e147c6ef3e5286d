from __future__ import annotations

from commands.identity.token import RevokeToken
from events.aggregate import AGGREGATES
from events.identity.token_revocation import (
    ForgetTokenRevocation,
    TokenRevocationExpired,
    TokenRevoked,
)
from tests.commands.identity.parts import AT, given

REVOKE = RevokeToken(audit_id="a", user_id="u", expires_at=AT + 100)


def test_a_token_is_revoked_once() -> None:
    story = given().when(REVOKE)
    story.then(TokenRevoked(audit_id="a", user_id="u", expires_at=AT + 100, at=AT))
    story.when(REVOKE).nothing()


def test_a_revocation_is_remembered_until_its_token_has_ended() -> None:
    story = given().when(REVOKE)
    kind = AGGREGATES["token_revocation"]
    state = story.state("token_revocation", "a")
    assert kind.deadline is not None
    assert kind.overdue is not None
    assert kind.deadline(state) == AT + 100
    forget = kind.overdue(state)
    assert forget == ForgetTokenRevocation(audit_id="a")
    story.when(forget, at=AT + 99).nothing()
    story.when(forget, at=AT + 100).then(TokenRevocationExpired(audit_id="a", at=AT + 100))
    assert story.state("token_revocation", "a") is None
    story.when(forget, at=AT + 101).nothing()

"""Who has one share of the threads: a user, whatever tokens it sends, or an address."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from api.tokens.claims import Claims, new_audit_id, seal, unseal
from api.tokens.keys import TokenKeys
from api.tokens.reading import now
from chronova.roles.callers import KNOWN_MAX, Callers
from projections.identity.standing import Scope

HOUR = 3_600_000_000
HERE, THERE = "1.2.3.4", "5.6.7.8"


class Issuer:
    """Makes tokens and tells callers apart."""

    def __init__(self, folder: Path) -> None:
        self.keys = TokenKeys(folder)
        self.unsealed = 0
        self.callers = Callers(self._unseal)

    def token(self, user_id: str, project_id: str = "p", lasts: int = HOUR) -> str:
        claims = Claims(
            user_id=user_id,
            scope=Scope("project", project_id),
            methods=("password",),
            issued_at=now(),
            expires_at=now() + lasts,
            audit_ids=(new_audit_id(),),
        )
        return seal(self.keys, claims)

    def caller(self, token: str, address: str = HERE, line: str = "GET /compute/v2.1/x") -> str:
        head = f"{line} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\nAccept: */*\r\n\r\n"
        return self.callers.of(head.encode(), address)

    def _unseal(self, token: str) -> Claims:
        self.unsealed += 1
        return partial(unseal, self.keys)(token)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "keys")


def test_spaces_around_a_token_make_no_other_caller(issuer: Issuer) -> None:
    token = issuer.token("anna")
    assert len({issuer.caller(sent) for sent in (token, f"{token} ", f" \t{token}\t \t")}) == 1


def test_all_tokens_of_a_user_are_one_caller(issuer: Issuer) -> None:
    """Of whatever project, from wherever."""
    first = issuer.caller(issuer.token("anna"))
    assert issuer.caller(issuer.token("anna", "another"), THERE) == first
    assert issuer.caller(issuer.token("bert")) != first


@pytest.mark.parametrize("token", ["", "made up", "x" * 5000, "\xe4"])
def test_what_is_no_token_counts_for_its_address(issuer: Issuer, token: str) -> None:
    assert issuer.caller(token) == HERE
    assert issuer.caller(token, THERE) == THERE


def test_a_changed_or_expired_token_counts_for_its_address(issuer: Issuer) -> None:
    token = issuer.token("anna")
    assert issuer.caller(token[:-5] + "AAAAA") == HERE
    assert issuer.caller(issuer.token("anna", lasts=-1)) == HERE


def test_no_token_is_an_address() -> None:
    assert Callers().of(b"GET / HTTP/1.1\r\n\r\n", HERE) == HERE


def test_a_token_is_unsealed_once_and_so_many_are_remembered(issuer: Issuer) -> None:
    first = issuer.token("anna")
    for _ in range(3):
        issuer.caller(first)
    assert issuer.unsealed == 1
    for _ in range(KNOWN_MAX):
        issuer.caller(issuer.token("bert"))
    issuer.caller(first)
    assert issuer.unsealed == KNOWN_MAX + 2


@pytest.mark.parametrize(
    "path",
    [
        "/identity/v3/auth/tokens",
        "//identity/v3/auth/t%6fkens/",
        "/identity/v3/users/1/password",
        "/compute/v2.1/host-secrets",
        "/compute/v2.1/host-report-keys",
        "/image/v2/direct/ab?expires=1",
    ],
)
def test_where_no_token_is_verified_an_address_is_one_caller(issuer: Issuer, path: str) -> None:
    assert issuer.caller(issuer.token("anna"), HERE, f"POST {path}") == HERE


def test_one_network_of_ipv6_is_one_caller() -> None:
    """One machine has 2**64 addresses of it."""
    callers, head = Callers(), b"GET / HTTP/1.1\r\n\r\n"
    first = callers.of(head, "2001:db8:0:1::1")
    assert callers.of(head, "2001:db8::1:ffff:1:2:3") == first
    assert callers.of(head, "2001:db8:0:2::1") != first
    assert callers.of(head, f"::ffff:{HERE}") == HERE
    assert callers.of(head, "fe80::1%eth0") == callers.of(head, "fe80::2")

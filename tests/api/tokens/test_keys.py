"""The token keys: made once, readable by nobody else, rotated without ending tokens at once."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from api.tokens.claims import Claims, new_audit_id, seal, unseal
from api.tokens.keys import BadToken, TokenKeys
from projections.identity.standing import Scope

CLAIMS = Claims(
    user_id="0123456789abcdef0123456789abcdef",
    scope=Scope("project", "fedcba9876543210fedcba9876543210"),
    methods=("password", "token"),
    issued_at=1_800_000_000_000_001,
    expires_at=1_800_003_600_000_001,
    audit_ids=(new_audit_id(), new_audit_id()),
    credential_id="00000000000000000000000000000001",
)


def test_the_folder_is_for_us_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    TokenKeys(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == ["0", "1"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert list(folder.parent.iterdir()) == [folder]


def test_processes_that_start_together_have_the_same_keys(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    begin = threading.Barrier(8)
    made: list[TokenKeys] = []

    def start() -> None:
        begin.wait(10)
        made.append(TokenKeys(folder))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 8
    token = made[0].seal(b"x")
    assert [keys.unseal(token) for keys in made] == [b"x"] * 8
    assert list(tmp_path.iterdir()) == [folder]


def test_a_rotation_ends_no_token_until_its_key_is_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys, other = TokenKeys(folder), TokenKeys(folder)
    first = keys.seal(b"first")
    keys.rotate()
    second = keys.seal(b"second")
    assert other.unseal(first) == b"first"
    assert other.unseal(second) == b"second"
    other.rotate()
    assert sorted(path.name for path in folder.iterdir()) == ["0", "2", "3"]
    with pytest.raises(BadToken):
        keys.unseal(first)
    assert keys.unseal(second) == b"second"


def test_a_staged_key_unseals_before_it_seals(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    behind = TokenKeys(folder)
    sealed_by = behind.seal(b"x")
    TokenKeys(folder).rotate()
    ahead = TokenKeys(folder).seal(b"y")
    assert behind.unseal(ahead) == b"y"
    assert behind.unseal(sealed_by) == b"x"


def test_a_rotation_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = TokenKeys(folder)
    token = keys.seal(b"x")
    (folder / "0").rename(folder / "2")
    (folder / ".0.new").write_bytes(b"half a k")
    assert TokenKeys(folder).unseal(token) == b"x"
    TokenKeys(folder).rotate()
    assert sorted(path.name for path in folder.iterdir()) == ["0", "2", "3"]


@pytest.mark.parametrize("token", ["", "x", "gAAAAA", "ä", "a" * 500, "=", "\x00"])
def test_what_is_no_token(tmp_path: Path, token: str) -> None:
    with pytest.raises(BadToken):
        TokenKeys(tmp_path / "keys").unseal(token)


def test_a_changed_token_is_none(tmp_path: Path) -> None:
    keys = TokenKeys(tmp_path / "keys")
    token = keys.seal(b"claims")
    for place in (0, 20, len(token) // 2, len(token) - 2):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(BadToken):
            keys.unseal(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS,
        Claims(
            user_id="not-hex",
            scope=Scope("domain", "default"),
            methods=("application_credential",),
            issued_at=1,
            expires_at=2,
            audit_ids=(new_audit_id(),),
        ),
        Claims(
            user_id="0123456789ABCDEF0123456789ABCDEF",
            scope=Scope(),
            methods=("password",),
            issued_at=1,
            expires_at=2,
            audit_ids=(new_audit_id(),),
        ),
    ],
)
def test_claims_come_back_as_they_were(tmp_path: Path, claims: Claims) -> None:
    keys = TokenKeys(tmp_path / "keys")
    token = seal(keys, claims)
    assert unseal(keys, token) == claims
    assert len(token) < 320
    assert token.isascii()
    assert "=" not in token


def test_another_form_of_token_is_refused(tmp_path: Path) -> None:
    keys = TokenKeys(tmp_path / "keys")
    with pytest.raises(BadToken):
        unseal(keys, keys.seal(b"\x91\x63"))

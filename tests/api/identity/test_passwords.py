"""Password hashing: what it costs, how many at a time, and that it is renewed."""

from __future__ import annotations

import threading
import time

import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters

from api.bus import Unavailable
from api.identity import passwords as module
from api.identity.passwords import Passwords
from commands.identity.user import ChangeUser
from events.identity.user import UserPasswordRehashed
from tests.parts.cloud import DEMO_PASSWORD, Cloud


def test_right_wrong_and_none() -> None:
    passwords = Passwords()
    made = passwords.hash("geheim")
    assert made.startswith("$argon2id$")
    assert "geheim" not in made
    assert passwords.hash("geheim") != made
    assert passwords.verify(made, "geheim")
    assert not passwords.verify(made, "Geheim")
    assert not passwords.verify(None, "")
    assert not passwords.verify("no hash at all", "x")
    assert passwords.verify(passwords.hash("päss\x00wörd"), "päss\x00wörd")


def test_the_cost_of_one_verification_is_bounded() -> None:
    passwords = Passwords()
    made = passwords.hash("x")
    assert extract_parameters(made).memory_cost <= 20 * 1024
    took = []
    for _ in range(5):
        began = time.process_time()
        passwords.verify(made, "x")
        took.append(time.process_time() - began)
    # 30 ms is the aim, measured 22-29 ms; three times that, for slower machines.
    assert min(took) < 0.09


def test_a_login_of_nobody_costs_what_one_with_a_wrong_password_costs(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One verification with the same parameters, and the same words: nothing tells whether there
    is such a user."""
    verified: list[Parameters] = []
    verify = PasswordHasher.verify

    def counted(hasher: PasswordHasher, hash: str, password: str) -> bool:
        verified.append(extract_parameters(hash))
        return verify(hasher, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    answers = []
    for name in ("demo", "nobody"):
        user = {"name": name, "domain": {"id": "default"}, "password": "wrong"}
        answer = cloud.client().try_login({"methods": ["password"], "password": {"user": user}})
        answers.append((answer.status_code, answer.text))
    assert answers[0] == answers[1] and answers[0][0] == 401
    assert len(verified) == 2 and verified[0] == verified[1]


def test_a_flood_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_MAX_S", 30.0)
    passwords = Passwords()
    made = passwords.hash("x")
    begin = threading.Barrier(40)
    outcomes: list[str] = []

    def verify() -> None:
        begin.wait(10)
        try:
            outcomes.append("right" if passwords.verify(made, "x") else "wrong")
        except Unavailable:
            outcomes.append("away")

    threads = [threading.Thread(target=verify) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 40
    assert outcomes.count("wrong") == 0
    assert outcomes.count("right") >= module.AT_ONCE + module.WAITING_MAX
    assert outcomes.count("away") >= 1
    assert passwords.verify(made, "x")


def test_an_old_hash_is_renewed_by_a_login_and_ends_no_tokens(cloud: Cloud) -> None:
    demo = cloud.demo()
    id = demo.body["user"]["id"]
    older = Passwords(memory_kib=8192, passes=1).hash(DEMO_PASSWORD)
    cloud.bus.send(ChangeUser(user_id=id, password_hash=older), "default")
    for _ in range(2):
        session = cloud.demo()
    renewed = [fact for fact in cloud.bus.events if isinstance(fact, UserPasswordRehashed)]
    assert len(renewed) == 1
    assert not Passwords().outdated(renewed[0].password_hash)
    session.call("GET", "/identity/v3/auth/projects")
    assert cloud.client().login("demo", DEMO_PASSWORD).token

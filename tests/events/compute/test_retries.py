"""Idempotency keys of servers that are gone: remembered for a day, and never without bound."""

from __future__ import annotations

from events.compute.project import Project
from events.compute.project import evolve as evolve_project
from events.compute.retries import KEPT_MAX, LOOKED_THROUGH_AT, WINDOW, Retries, evolve
from events.compute.server.facts import ServerDeleted
from events.state_codec import encode_state

START = 1_800_000_000_000_000
SECOND = 1_000_000


def deleted(number: int, at: int, fingerprint: str = "print") -> ServerDeleted:
    return ServerDeleted(
        at=at,
        server_id=f"{number:08x}",
        project_id="p",
        vcpus=1,
        ram_mib=1,
        generation=1,
        fingerprint=fingerprint,
    )


def after(count: int, step: int) -> Retries:
    state: Retries | None = None
    for number in range(count):
        state = evolve(state, deleted(number, START + number * step))
    assert state is not None
    return state


def test_a_server_without_a_key_leaves_nothing() -> None:
    assert evolve(None, deleted(1, START, "")) is None


def test_a_key_is_remembered_for_a_day() -> None:
    count = 3 * LOOKED_THROUGH_AT
    state = after(count, WINDOW // LOOKED_THROUGH_AT)
    newest = START + (count - 1) * (WINDOW // LOOKED_THROUGH_AT)
    for number in range(count):
        if START + number * (WINDOW // LOOKED_THROUGH_AT) > newest - WINDOW:
            assert f"{number:08x}" in state.servers
    assert len(state.servers) <= 2 * LOOKED_THROUGH_AT


def test_of_many_the_newest_are_remembered() -> None:
    state = after(5 * KEPT_MAX, 1)
    assert KEPT_MAX <= len(state.servers) <= 2 * KEPT_MAX
    assert all(f"{number:08x}" in state.servers for number in range(4 * KEPT_MAX, 5 * KEPT_MAX))


def test_a_projects_quota_stays_small_whatever_comes_and_goes() -> None:
    project = Project(project_id="p")
    for number in range(1000):
        project = evolve_project(project, deleted(number, START + number * SECOND))
    assert len(encode_state(project)) < 200

"""POST /servers/{id}/action: power, reboot, lock, delete, and everything that is no action."""

from __future__ import annotations

from typing import Any

import pytest

from api.compute.actions import ACTIONS, UNSERVED
from api.policy import RULES
from tests.api.compute.world import World, refused


def status(world: World, server_id: str) -> tuple[str, str | None]:
    server = world.get(f"/servers/{server_id}").json["server"]
    return server["status"], server["OS-EXT-STS:task_state"]


def test_stop_and_start(world: World) -> None:
    server_id = world.boot()
    answer = world.act(server_id, {"os-stop": None})
    assert (answer.status_code, answer.text) == (202, "")
    assert status(world, server_id) == ("ACTIVE", "powering-off")
    world.work()
    assert status(world, server_id) == ("SHUTOFF", None)
    refused(
        world.act(server_id, {"os-stop": None}),
        409,
        "conflictingRequest",
        f"Cannot 'stop' instance {server_id} while it is in vm_state stopped",
    )
    assert world.act(server_id, {"os-start": {}}).status_code == 202
    world.work()
    assert status(world, server_id) == ("ACTIVE", None)


@pytest.mark.parametrize(
    ("kind", "shown"), [("SOFT", "REBOOT"), ("soft", "REBOOT"), ("Hard", "HARD_REBOOT")]
)
def test_reboot(world: World, kind: str, shown: str) -> None:
    server_id = world.boot()
    assert world.act(server_id, {"reboot": {"type": kind}}).status_code == 202
    assert status(world, server_id)[0] == shown
    world.work()
    assert status(world, server_id) == ("ACTIVE", None)


@pytest.mark.parametrize(
    "value", [None, {}, {"type": "gentle"}, {"type": 1}, {"type": "SOFT", "x": 1}, "SOFT"]
)
def test_a_reboot_that_cannot_be(world: World, value: Any) -> None:
    refused(world.act(world.boot(), {"reboot": value}), 400, "badRequest")


def test_a_lock_holds_for_all_but_admins(world: World) -> None:
    server_id = world.boot()
    answer = world.act(server_id, {"lock": {"locked_reason": "audit"}}, version="2.73")
    assert answer.status_code == 202
    shown = world.get(f"/servers/{server_id}", version="2.73").json["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "audit")
    for body in ({"os-stop": None}, {"reboot": {"type": "SOFT"}}, {"forceDelete": None}):
        refused(world.act(server_id, body), 409, "conflictingRequest", "is locked")
    refused(world.delete(f"/servers/{server_id}"), 409, "conflictingRequest", "is locked")
    answer = world.put(f"/servers/{server_id}/metadata", {"metadata": {}})
    refused(answer, 409, "conflictingRequest", "is locked")
    assert world.act(server_id, {"os-stop": None}, token="admin").status_code == 202
    assert world.act(server_id, {"unlock": None}).status_code == 202
    shown = world.get(f"/servers/{server_id}", version="2.73").json["server"]
    assert (shown["locked"], shown["locked_reason"]) == (False, None)


def test_an_admins_lock_only_admins_undo(world: World) -> None:
    server_id = world.boot()
    assert world.act(server_id, {"lock": None}, token="admin").status_code == 202
    refused(world.act(server_id, {"unlock": None}), 403, "forbidden", "unlock_override")
    assert world.act(server_id, {"unlock": None}, token="admin").status_code == 202


def test_a_reason_for_a_lock_has_its_window(world: World) -> None:
    server_id = world.boot()
    for value in ({"locked_reason": ""}, {"locked_reason": "x" * 256}, {"x": 1}, "because"):
        refused(world.act(server_id, {"lock": value}, version="2.73"), 400, "badRequest")
    assert world.act(server_id, {"lock": "because"}, version="2.72").status_code == 202


def test_force_delete(world: World) -> None:
    server_id = world.boot()
    assert world.act(server_id, {"forceDelete": None}).status_code == 202
    world.work()
    refused(world.get(f"/servers/{server_id}"), 404, "itemNotFound")


@pytest.mark.parametrize(
    ("body", "code", "name", "text"),
    [
        ({}, 400, "badRequest", "exactly one action"),
        ({"os-stop": None, "os-start": None}, 400, "badRequest", "exactly one action"),
        ({"dance": None}, 400, "badRequest", "There is no such action: dance"),
        ({"resetNetwork": None}, 410, "computeFault", ""),
        ([], 400, "badRequest", ""),
    ],
)
def test_what_is_no_action(world: World, body: Any, code: int, name: str, text: str) -> None:
    refused(world.act(world.boot(), body), code, name, text)


@pytest.mark.parametrize("key", ["pause", "resize", "addFloatingIp", "os-getVNCConsole"])
def test_what_only_nova_does_is_refused_after_the_server_is_found(world: World, key: str) -> None:
    server_id, body = world.boot(), {key: None}
    refused(world.act(server_id, body), 400, "badRequest", f"There is no such action: {key}")
    refused(world.act(server_id, body, token="stranger"), 404, "itemNotFound", server_id)
    refused(world.act("0" * 32, body), 404, "itemNotFound", "0" * 32)
    refused(world.act("0" * 32, {"dance": None}), 400, "badRequest", "There is no such action")


def test_what_only_nova_does_has_its_window_too(world: World) -> None:
    server_id = world.boot()
    for key, version in (("addFloatingIp", "2.44"), ("trigger_crash_dump", "2.16")):
        answer = world.act(server_id, {key: None}, version=version)
        refused(answer, 404, "itemNotFound")
    assert not UNSERVED.keys() & {action.key for action in ACTIONS}


BODIES: dict[str, Any] = {"reboot": {"type": "SOFT"}, "os-getConsoleOutput": {}}


@pytest.mark.parametrize("key", [action.key for action in ACTIONS])
def test_who_may(world: World, key: str) -> None:
    server_id = world.boot()
    body = {key: BODIES.get(key)}
    rule = next(action.rule for action in ACTIONS if action.key == key)
    assert rule in RULES
    refused(world.act(server_id, body, token="reader"), 403, "forbidden", rule)
    refused(world.act(server_id, body, token="stranger"), 404, "itemNotFound", server_id)
    refused(world.act("0" * 32, body), 404, "itemNotFound", "0" * 32)


def test_who_may_not_see_it_learns_nothing_of_its_state(world: World) -> None:
    server_id = world.boot()
    world.act(server_id, {"os-stop": None})
    here = world.act(server_id, {"os-stop": None}, token="stranger")
    nowhere = world.act("0" * 32, {"os-stop": None}, token="stranger")
    assert here.text.replace(server_id, "") == nowhere.text.replace("0" * 32, "")

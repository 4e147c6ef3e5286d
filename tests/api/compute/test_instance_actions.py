"""What was done to a server, as each microversion and each role sees it."""

from __future__ import annotations

from typing import Any

import pytest

from projections.actions import INSTANCE_ACTION_EVENTS, INSTANCE_ACTIONS
from tests.api.compute.world import PROJECT, World, refused

AT = 1_790_000_000_000_000
"""2026-09-21T14:13:20Z"""
ONE, TWO, THREE = (f"req-{i}1111111-1111-4111-8111-111111111111" for i in range(3))


def recorded(world: World) -> str:
    """A server with the actions create (with two steps), stop (failed), lock."""
    server_id = world.boot()
    actions = [(ONE, "create", None), (TWO, "stop", "Error"), (THREE, "lock", None)]
    with world.engine.begin() as connection:
        for i, (request_id, action, message) in enumerate(actions):
            connection.execute(
                INSTANCE_ACTIONS.insert().values(
                    server_id=server_id,
                    request_id=request_id,
                    action=action,
                    user_id="alice",
                    project_id=PROJECT,
                    start_time=AT + i * 1_000_000,
                    updated_at=AT + i * 1_000_000 + 1,
                    message=message,
                    position=i * 10,
                )
            )
        for i, (event, result, host) in enumerate(
            [
                ("conductor_schedule_and_build_instances", "Success", None),
                ("compute__do_build_and_run_instance", "Error", "c1"),
            ]
        ):
            connection.execute(
                INSTANCE_ACTION_EVENTS.insert().values(
                    server_id=server_id,
                    request_id=ONE,
                    partition=0,
                    position=i,
                    event=event,
                    start_time=AT,
                    finish_time=AT + 5 if i else None,
                    result=result,
                    host=host,
                    host_id="abc" if host else None,
                    details="no disk left" if host else None,
                )
            )
    return server_id


def listed(world: World, path: str, **given: Any) -> Any:
    answer = world.get(path, **given)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_newest_first(world: World) -> None:
    path = f"/servers/{recorded(world)}/os-instance-actions"
    actions = listed(world, path)["instanceActions"]
    assert [a["action"] for a in actions] == ["lock", "stop", "create"]
    assert actions[1] == {
        "action": "stop",
        "instance_uuid": path.split("/")[2],
        "request_id": TWO,
        "user_id": "alice",
        "project_id": PROJECT,
        "start_time": "2026-09-21T14:13:21.000000",
        "message": "Error",
    }
    newer = listed(world, path, version="2.58")["instanceActions"][1]
    assert newer["updated_at"] == "2026-09-21T14:13:21.000001"


def test_pages_and_changes(world: World) -> None:
    path = f"/servers/{recorded(world)}/os-instance-actions"
    first = listed(world, f"{path}?limit=2", version="2.66")
    assert [a["request_id"] for a in first["instanceActions"]] == [THREE, TWO]
    assert first["links"][0]["href"] == (
        f"http://cloud.test/compute/v2.1{path}?limit=2&marker={TWO}"
    )
    rest = listed(world, f"{path}?limit=2&marker={TWO}", version="2.66")
    assert [a["request_id"] for a in rest["instanceActions"]] == [ONE]
    assert "links" not in rest
    since = listed(world, f"{path}?changes-since=2026-09-21T14:13:21Z", version="2.66")
    assert [a["request_id"] for a in since["instanceActions"]] == [THREE, TWO]
    before = listed(world, f"{path}?changes-before=2026-09-21T14:13:21Z", version="2.66")
    assert [a["request_id"] for a in before["instanceActions"]] == [ONE]
    assert len(listed(world, f"{path}?limit=2", version="2.57")["instanceActions"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "marker=nothing",
        "changes-since=now",
        "surprise=1",
        "changes-since=2026-01-02&changes-before=2026-01-01",
    ],
)
def test_queries_that_cannot_be(world: World, query: str) -> None:
    path = f"/servers/{recorded(world)}/os-instance-actions?{query}"
    refused(world.get(path, version="2.66"), 400, "badRequest")


COMMON = {"event", "start_time", "finish_time", "result"}


@pytest.mark.parametrize(
    ("version", "token", "keys"),
    [
        ("2.50", "member", None),
        ("2.50", "admin", COMMON | {"traceback"}),
        ("2.51", "member", COMMON),
        ("2.62", "member", COMMON | {"hostId"}),
        ("2.62", "admin", COMMON | {"hostId", "host", "traceback"}),
        ("2.84", "member", COMMON | {"hostId"}),
        ("2.84", "admin", COMMON | {"hostId", "host", "traceback", "details"}),
    ],
)
def test_events(world: World, version: str, token: str, keys: set[str] | None) -> None:
    path = f"/servers/{recorded(world)}/os-instance-actions/{ONE}"
    action = listed(world, path, version=version, token=token)["instanceAction"]
    if keys is None:
        assert "events" not in action
        return
    newest, oldest = action["events"]
    assert set(newest) == set(oldest) == keys
    assert newest["event"] == "compute__do_build_and_run_instance"
    assert newest["finish_time"] == "2026-09-21T14:13:20.000005"
    assert oldest["finish_time"] is None
    if "details" in keys:
        assert (newest["host"], newest["details"]) == ("c1", "no disk left")


def test_an_unknown_request(world: World) -> None:
    path = f"/servers/{recorded(world)}/os-instance-actions/req-none"
    refused(world.get(path), 404, "itemNotFound", "req-none")


def test_a_deleted_servers_actions_from_2_21_on(world: World) -> None:
    server_id = recorded(world)
    world.delete(f"/servers/{server_id}")
    world.work()
    path = f"/servers/{server_id}/os-instance-actions"
    refused(world.get(path, version="2.20"), 404, "itemNotFound")
    assert len(listed(world, path, version="2.21")["instanceActions"]) == 3
    assert listed(world, f"{path}/{ONE}", version="2.21")["instanceAction"]["action"] == "create"
    refused(world.get(path, version="2.21", token="stranger"), 404, "itemNotFound")

"""``POST /servers/{id}/action``: one row for each thing that can be asked of a server.

Checks in Nova's order: one key in the body (400), a known one (400), its window of microversions
(404), its schema (400), the server (404), the rule (403); then the row's command is sent and what
the decider says is the answer. An action that only Nova knows is refused after the server is found.
A row with ``run`` answers by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon
import msgspec

from api.compute import fields
from api.compute.console import console_output
from api.compute.faults import bad_request, not_found
from api.compute.microversion import LATEST, OLDEST
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import find, is_admin, seen
from api.compute.validation import Body, Build, Schema, always
from api.policy import allowed
from commands.compute.delete import DeleteServer
from commands.compute.lock import LockServer, UnlockServer
from commands.compute.power import StartServer, StopServer
from commands.compute.reboot import RebootServer
from events.message import Command
from projections.compute.server_queries import ServerRow

RULE = "os_compute_api:"

MakeCommand = Callable[[Call, ServerRow, Any], Command]
"""``make(call, server, value of the body's key)``."""
Run = Callable[[Call, ServerRow, Any], Answer]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table. ``value``: the schema of what stands under the key."""

    key: str
    rule: str
    command: MakeCommand | None = None
    run: Run | None = None
    value: Build = always(fields.ANY)
    since: int = OLDEST
    until: int = LATEST
    status: int = 202


def reboot(call: Call, server: ServerRow, value: Any) -> Command:
    """Soft or hard, in whatever case."""
    kind = value["type"].upper()
    return RebootServer(server_id=server.id, type=kind, admin=is_admin(call))


def lock(call: Call, server: ServerRow, value: Any) -> Command:
    """By its owner, or by an admin of another project."""
    reason = value.get("locked_reason") if isinstance(value, dict) else None
    foreign = call.caller.project_id != server.project_id
    return LockServer(server_id=server.id, reason=reason, by_admin=foreign)


def unlock(call: Call, server: ServerRow, value: Any) -> Command:
    """An admin's lock only with the rule for it."""
    rule = f"{RULE}os-lock-server:unlock:unlock_override"
    override = allowed(call.caller, rule, server.project_id)
    return UnlockServer(server_id=server.id, override=override)


def lock_value(version: int) -> Schema:
    """A reason may be given from 2.73 on."""
    if version < 73:
        return fields.ANY
    return {
        "type": ["object", "null"],
        "properties": {"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}},
        "additionalProperties": False,
    }


REBOOT_VALUE: Schema = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}
    },
    "required": ["type"],
    "additionalProperties": False,
}
CONSOLE_VALUE: Schema = {
    "type": "object",
    "properties": {
        "length": {
            "type": ["integer", "string", "null"],
            "minimum": -1,
            "pattern": "^-?[0-9]+$",
            "maxLength": 18,
        }
    },
    "additionalProperties": False,
}

ACTIONS = (
    Action(
        key="os-stop",
        rule=f"{RULE}servers:stop",
        command=lambda call, server, _: StopServer(server_id=server.id, admin=is_admin(call)),
    ),
    Action(
        key="os-start",
        rule=f"{RULE}servers:start",
        command=lambda call, server, _: StartServer(server_id=server.id, admin=is_admin(call)),
    ),
    Action(key="reboot", rule=f"{RULE}servers:reboot", command=reboot, value=always(REBOOT_VALUE)),
    Action(key="lock", rule=f"{RULE}os-lock-server:lock", command=lock, value=lock_value),
    Action(key="unlock", rule=f"{RULE}os-lock-server:unlock", command=unlock),
    Action(
        key="forceDelete",
        rule=f"{RULE}os-deferred-delete:force",
        command=lambda call, server, _: DeleteServer(
            server_id=server.id, force=True, admin=is_admin(call)
        ),
    ),
    Action(
        key="os-getConsoleOutput",
        rule=f"{RULE}os-console-output",
        run=console_output,
        value=always(CONSOLE_VALUE),
        status=200,
    ),
)
"""Everything that can be asked of a server."""

GONE = frozenset({"resetNetwork"})
"""Removed from Nova for good: 410."""

UNSERVED = {
    **dict.fromkeys(
        (
            *("confirmResize", "revertResize", "resize", "rebuild", "createImage", "createBackup"),
            *("injectNetworkInfo", "os-resetState", "changePassword", "restore", "evacuate"),
            *("migrate", "os-migrateLive", "pause", "unpause", "suspend", "resume", "rescue"),
            *("unrescue", "addSecurityGroup", "removeSecurityGroup", "shelve", "shelveOffload"),
            "unshelve",
        ),
        (OLDEST, LATEST),
    ),
    "trigger_crash_dump": (17, LATEST),
    **dict.fromkeys(
        ("addFloatingIp", "removeFloatingIp", "addFixedIp", "removeFixedIp"), (OLDEST, 43)
    ),
    **dict.fromkeys(
        ("os-getVNCConsole", "os-getSPICEConsole", "os-getRDPConsole", "os-getSerialConsole"),
        (OLDEST, 5),
    ),
}
"""What Nova does and this cloud does not: the microversions from and until which Nova does it."""

BY_KEY = {row.key: row for row in ACTIONS}
BODIES = {
    row.key: Body(
        lambda version, row=row: {  # type: ignore[misc]
            "type": "object",
            "properties": {row.key: row.value(version)},
            "required": [row.key],
            "additionalProperties": False,
        }
    )
    for row in ACTIONS
}


def act(call: Call) -> Answer:
    """Do what the body's only key says."""
    if len(call.body) != 1:
        raise bad_request("Malformed request body: there must be exactly one action")
    [key] = call.body
    if key in GONE:
        raise falcon.HTTPGone(description="This API is no longer available")
    row = BY_KEY.get(key)
    if row is None:
        raise _unserved(call, key)
    if not row.since <= call.version <= row.until:
        raise not_found()
    BODIES[key].check(call.body, call.version)
    server = find(call, row.rule)
    if row.run is not None:
        return row.run(call, server, call.body[key])
    if row.command is not None:
        call.send(row.command(call, server, call.body[key]), server.project_id)
    return Answer(status=row.status)


def _unserved(call: Call, key: str) -> falcon.HTTPError:
    """400, unless the server is not there or Nova does not know the action by this version."""
    if key in UNSERVED:
        since, until = UNSERVED[key]
        if not since <= call.version <= until:
            return not_found()
        seen(call)
    return bad_request(f"There is no such action: {key}")


OBJECT = Body(always({"type": "object"}))

OPERATIONS = (Operation("POST", "/servers/{server_id}/action", act, body=OBJECT),)

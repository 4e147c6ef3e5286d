"""``POST /servers``: look everything up, refuse what cannot be, ask for the servers.

The command carries all that the decision and the host need: the flavor and the image as they are
now, the public key, and where user data and password are kept. What is refused here is refused in
Nova's order and words; quota is the decider's business. With an ``Idempotency-Key`` ids follow from
project and key, and the password is the first request's: the same request again gets the same
answer.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from api.compute import fields
from api.compute.boot_source import boot_image, check_block_devices, check_fits
from api.compute.create_schema import BODY
from api.compute.faults import bad_request, forbidden
from api.compute.given_secrets import (
    dropped_unless_sent,
    fingerprint,
    first_password,
    keep,
    password_for,
)
from api.compute.naming import hostnames, numbered
from api.compute.operation import Answer, Call, Operation
from api.compute.placement_request import placement
from api.compute.views import links
from api.policy import enforce
from commands.compute.create import CreateServers, NewServer
from events.compute.flavor import FlavorSnapshot
from events.compute.server import PublicKey
from projections.compute.flavors import find_flavor, usable_by
from projections.compute.key_pairs import find_key_pair

RULE = "os_compute_api:servers:create"
IDEMPOTENCY_KEY_CHARS_MAX = 255
SERVERS_MAX = 1000
"""Servers of one request. Nova's bound is the quota; a request must also fit one record."""
NAMESPACE = uuid.UUID("a3f5f0a4-7f1a-5d53-9a2a-0d1a3f6f9b57")
"""Of ids that follow from an Idempotency-Key."""


def create(call: Call) -> Answer:
    """202 with the first server's id, or the reservation's. Raises 400, 403, 409."""
    enforce(call.caller, RULE)
    body: dict[str, Any] = call.body["server"]
    lowest, highest = _counts(body)
    _check_names(body, highest)
    where = placement(call, body, _hints(call.body))
    key = _idempotency_key(call)
    source = f"{call.project_id}/{key}" if key else ""
    ids = _ids(source, highest)
    image = boot_image(call, body)
    flavor = _flavor(call, body)
    public_key = _public_key(call, body)
    networks = _networks(call, body)
    groups = _security_groups(call, body)
    check_block_devices(body, image)
    metadata = body.get("metadata") or {}
    _check_metadata(call, metadata)
    check_fits(call, flavor, image)
    password = password_for(call, body)
    kept = keep(call, body, image, ids, password, repeatable=bool(key))
    reservation_id = _reservation_id(source)
    command = CreateServers(
        project_id=call.project_id,
        user_id=call.caller.user_id,
        servers=_servers(body, ids),
        min_count=lowest,
        flavor=flavor,
        image=image,
        metadata=metadata,
        tags=list(dict.fromkeys(body.get("tags") or ())),
        description=body.get("description") if call.version >= 19 else body["name"],
        key_name=body.get("key_name"),
        public_key=public_key,
        secrets=kept,
        availability_zone=where.zone,
        requested_host=where.host,
        forced_host=where.forced,
        scheduler_hints=where.hints,
        config_drive=fields.is_true(body.get("config_drive")),
        networks=networks,
        security_groups=groups,
        reservation_id=reservation_id,
        seed=secrets.randbits(53),
        fingerprint=fingerprint(call) if key else "",
        disk_config=body.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=fields.address(body.get("accessIPv4", "")),
        access_ip_v6=fields.address(body.get("accessIPv6", "")),
    )
    with dropped_unless_sent(call, kept):
        call.send(command, call.project_id)
    if key:
        password = first_password(call, ids[0], kept, password)
    return _answer(call, body, ids[0], reservation_id, password)


def _answer(
    call: Call, body: dict[str, Any], server_id: str, reservation_id: str, password: str
) -> Answer:
    if fields.is_true(body.get("return_reservation_id")):
        return Answer({"reservation_id": reservation_id}, 202)
    groups = body.get("security_groups") or [{"name": "default"}]
    server = {
        "id": server_id,
        "links": links(call, server_id),
        "OS-DCF:diskConfig": body.get("OS-DCF:diskConfig", "MANUAL"),
        "security_groups": [{"name": name} for name in _unique(groups)],
    }
    if password:
        server["adminPass"] = password
    return Answer({"server": server}, 202, {"Location": call.link(f"/servers/{server_id}")})


def _counts(body: dict[str, Any]) -> tuple[int, int]:
    lowest = int(body.get("min_count", 1))
    highest = int(body.get("max_count", lowest))
    if lowest > highest:
        raise bad_request("min_count must be <= max_count")
    if highest > SERVERS_MAX:
        raise bad_request(f"max_count must be <= {SERVERS_MAX}")
    return lowest, highest


def _check_names(body: dict[str, Any], count: int) -> None:
    if count > 1 and body.get("hostname") is not None:
        raise bad_request(
            "Unable to allocate a single hostname to multiple instances: hostname cannot be used"
            " with max_count > 1."
        )


def _servers(body: dict[str, Any], ids: list[str]) -> list[NewServer]:
    name = body["name"].strip()
    given = body.get("hostname")
    guests = [given] if given else hostnames(name, ids)
    return [
        NewServer(server_id=id, name=numbered(name, i, len(ids)), hostname=guests[i])
        for i, id in enumerate(ids)
    ]


def _hints(body: dict[str, Any]) -> dict[str, Any]:
    hints: dict[str, Any] = body.get("os:scheduler_hints") or body.get(
        "OS-SCH-HNT:scheduler_hints", {}
    )
    return {name: value for name, value in hints.items() if not name.startswith("_nova")}


def _idempotency_key(call: Call) -> str:
    key = call.req.get_header("Idempotency-Key")
    if key is None:
        return ""
    if not key.strip() or len(key) > IDEMPOTENCY_KEY_CHARS_MAX:
        raise bad_request(f"Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters.")
    return key


def _ids(source: str, count: int) -> list[str]:
    if not source:
        return [str(uuid.uuid4()) for _ in range(count)]
    own = uuid.uuid5(NAMESPACE, source)
    return [str(uuid.uuid5(own, str(i))) for i in range(count)]


def _reservation_id(source: str) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    if not source:
        return "r-" + "".join(secrets.choice(letters) for _ in range(8))
    number = uuid.uuid5(NAMESPACE, f"reservation/{source}").int
    return "r-" + "".join(letters[(number >> 8 * i) % len(letters)] for i in range(8))


def _flavor(call: Call, body: dict[str, Any]) -> FlavorSnapshot:
    flavor_id = str(body["flavorRef"]).rstrip("/").rsplit("/", 1)[-1]
    flavor = find_flavor(call.services.engine, flavor_id)
    admin = call.caller.is_admin
    if flavor is None or flavor.flavor.disabled or not usable_by(flavor, call.project_id, admin):
        raise bad_request(f"Flavor {flavor_id} could not be found.")
    return flavor.flavor


def _public_key(call: Call, body: dict[str, Any]) -> PublicKey | None:
    name = body.get("key_name")
    if name is None:
        return None
    pair = find_key_pair(call.services.engine, call.caller.user_id, name)
    if pair is None:
        raise bad_request("Invalid key_name provided.")
    return PublicKey(name=pair.name, type=pair.type, public_key=pair.public_key)


def _networks(call: Call, body: dict[str, Any]) -> str:
    asked = body.get("networks", "auto")
    if isinstance(asked, str):
        return asked
    if not asked:
        return "auto"
    enforce(call.caller, f"{RULE}:attach_network")
    for network in asked:
        if network.get("port"):
            raise bad_request(f"Port id {network['port']} could not be found.")
        if not network.get("uuid"):
            raise bad_request("Missing network uuid or port in the networks requested.")
        raise bad_request(f"Network {network['uuid']} could not be found.")
    return "auto"


def _security_groups(call: Call, body: dict[str, Any]) -> list[str]:
    names = _unique(body.get("security_groups") or [])
    for name in names:
        if name != "default":
            raise bad_request(f"Security group {name} not found for project {call.project_id}.")
    return names or ["default"]


def _unique(groups: list[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(group.get("name", "default") for group in groups))


def _check_metadata(call: Call, metadata: dict[str, str]) -> None:
    most = call.services.settings.metadata_items_max
    if len(metadata) > most:
        raise forbidden(f"Maximum number of metadata items exceeds {most}")


OPERATIONS = (Operation("POST", "/servers", create, body=BODY),)

"""Key pairs: a user's, in whatever project. Import always; generation up to 2.91."""

from __future__ import annotations

import zlib
from typing import Any

from api.compute import fields
from api.compute.faults import bad_request, not_found
from api.compute.key_material import BadKey, KeyMaterial, generated, imported
from api.compute.operation import Answer, Call, Operation
from api.compute.paging import in_one_answer, limit_of, next_links
from api.compute.quotas import limits_of
from api.compute.validation import Body, Property, Query, Schema, object_of, wrapped
from api.policy import enforce
from commands.compute.key_pair import DeleteKeyPair, ImportKeyPair
from events.compute.key_pair import KeyPair, key_pair_id
from projections.compute.key_pair_queries import UnknownMarker, list_key_pairs
from projections.compute.key_pairs import find_key_pair
from projections.instants import microseconds

RULE = "os_compute_api:os-keypairs:"
VERSION_TYPE, VERSION_USER, VERSION_PAGES, VERSION_IMPORT_ONLY = 2, 10, 35, 92
TYPE: Schema = {"type": "string", "enum": ["ssh", "x509"]}
PUBLIC_KEY: Schema = {"type": "string"}
USER: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[a-zA-Z0-9-]*$",
}

CREATE = Body(
    wrapped(
        "keypair",
        object_of(
            (
                Property(
                    "name",
                    fields.KEY_PAIR_NAME,
                    until=VERSION_IMPORT_ONLY - 1,
                    required_since=1,
                ),
                Property(
                    "name",
                    fields.KEY_PAIR_NAME_92,
                    since=VERSION_IMPORT_ONLY,
                    required_since=VERSION_IMPORT_ONLY,
                ),
                Property("public_key", PUBLIC_KEY, required_since=VERSION_IMPORT_ONLY),
                Property("type", TYPE, since=VERSION_TYPE),
                Property("user_id", USER, since=VERSION_USER),
            )
        ),
    )
)
OF_USER = Property("user_id", fields.QUERY_TEXT, since=VERSION_USER)
ONE_QUERY = Query((OF_USER,), strict_since=75)
LIST_QUERY = Query(
    (
        OF_USER,
        Property("limit", fields.QUERY_LIMIT, since=VERSION_PAGES),
        Property("marker", fields.QUERY_TEXT, since=VERSION_PAGES),
    ),
    strict_since=75,
)


def _owner(call: Call, rule: str) -> str:
    """Whose key pairs are meant: the caller's, unless an admin names another user."""
    user_id = call.last("user_id") or call.caller.user_id
    enforce(call.caller, f"{RULE}{rule}", user_id=user_id)
    return user_id


def index(call: Call) -> Answer:
    """A user's key pairs, by name."""
    user_id = _owner(call, "index")
    paged = call.version >= VERSION_PAGES
    limit = limit_of(call)
    try:
        found, full = list_key_pairs(call.services.engine, user_id, limit, call.last("marker"))
    except UnknownMarker as error:
        raise bad_request(f"Marker {error} could not be found.") from None
    names = ["name", "public_key", "fingerprint"]
    if call.version >= VERSION_TYPE:
        names.append("type")
    body: dict[str, Any] = {
        "keypairs": [{"keypair": {name: pair[name] for name in names}} for pair in found]
    }
    if not paged:
        in_one_answer(call, not full, VERSION_PAGES)
    elif links := next_links(call, "/os-keypairs", [p["name"] for p in found], limit, full):
        body["keypairs_links"] = links
    return Answer(body)


def create(call: Call) -> Answer:
    """Import a public key, or make a pair and hand out its private half."""
    body = call.body["keypair"]
    user_id = body.get("user_id", call.caller.user_id)
    enforce(call.caller, f"{RULE}create", user_id=user_id)
    name, type = body["name"], body.get("type", "ssh")
    material = _material(type, body.get("public_key"), user_id)
    call.send(
        ImportKeyPair(
            user_id=user_id,
            name=name,
            type=type,
            public_key=material.public_key,
            fingerprint=material.fingerprint,
            limit=limits_of(call, call.project_id)["key_pairs"],
        ),
        user_id,
    )
    made = {
        "name": name,
        "public_key": material.public_key,
        "fingerprint": material.fingerprint,
        "user_id": user_id,
    }
    if call.version >= VERSION_TYPE:
        made["type"] = type
    if material.private_key is not None:
        made["private_key"] = material.private_key
    return Answer({"keypair": made}, 201 if call.version >= VERSION_TYPE else 200)


def _material(type: str, public_key: str | None, user_id: str) -> KeyMaterial:
    if public_key is None:
        return generated(type, user_id)
    try:
        return imported(type, public_key)
    except BadKey:
        raise bad_request("Keypair data is invalid: failed to generate fingerprint") from None


def _found(call: Call, user_id: str) -> KeyPair:
    name = call.params["key_pair_name"]
    pair = find_key_pair(call.services.engine, user_id, name)
    if pair is None:
        raise not_found(f"Keypair {name} not found for user {user_id}")
    return pair


def show(call: Call) -> Answer:
    """One key pair."""
    pair = _found(call, _owner(call, "show"))
    body = {
        "id": zlib.crc32(key_pair_id(pair.user_id, pair.name).encode()) or 1,
        "name": pair.name,
        "public_key": pair.public_key,
        "fingerprint": pair.fingerprint,
        "user_id": pair.user_id,
        "created_at": microseconds(pair.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    if call.version >= VERSION_TYPE:
        body["type"] = pair.type
    return Answer({"keypair": body})


def delete(call: Call) -> Answer:
    """Delete; servers keep the copy they were made with."""
    user_id = _owner(call, "delete")
    name = _found(call, user_id).name
    call.send(
        DeleteKeyPair(user_id=user_id, name=name, key_pair_id=key_pair_id(user_id, name)), user_id
    )
    return Answer(status=204 if call.version >= VERSION_TYPE else 202)


ONE = "/os-keypairs/{key_pair_name}"

OPERATIONS = (
    Operation("GET", "/os-keypairs", index, query=LIST_QUERY),
    Operation("POST", "/os-keypairs", create, body=CREATE),
    Operation("GET", ONE, show, query=ONE_QUERY),
    Operation("DELETE", ONE, delete, query=ONE_QUERY),
)

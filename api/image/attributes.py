"""Whether a caller may set an image's key to a value: the checks of create and update alike.

Order as in Glance: a key that nobody may write is 403 whatever its value, then the value's form
is 400, then who may set that value is 403.
"""

from __future__ import annotations

from typing import Any

import falcon
import jsonschema_rs

from api.caller import Caller
from api.image import policy
from api.image.schemas import CREATE, PROPERTY, READ_ONLY, WRITABLE

KEY_CHARS_MAX = 255
RESERVED = frozenset({"location", "locations", "deleted", "deleted_at", "stores"})
WHOLE_NUMBERS = ("min_disk", "min_ram")

_CREATE = jsonschema_rs.validator_for(CREATE)
_VALUES = {key: jsonschema_rs.validator_for(schema) for key, schema in WRITABLE.items()}
_PROPERTY = jsonschema_rs.validator_for(PROPERTY)


def check_key(key: str, read_only: bool = True) -> None:
    """Whether the key can be written at all. Raises 403 or 400."""
    if key in READ_ONLY or (key == "id" and read_only):
        raise falcon.HTTPForbidden(description=f"Attribute '{key}' is read-only.")
    if key in RESERVED or key.startswith("os_glance_"):
        raise falcon.HTTPForbidden(description=f"Attribute '{key}' is reserved.")
    if not key or len(key) > KEY_CHARS_MAX or "\0" in key:
        raise falcon.HTTPBadRequest(
            description=f"A property's name has 1 to {KEY_CHARS_MAX} characters other than NUL."
        )


def checked_creation(body: dict[str, object]) -> dict[str, Any]:
    """The body of a create, its keys and values checked. Raises 403 or 400."""
    for key in body:
        check_key(key, read_only=False)
    _validate(_CREATE, body, "")
    return {key: _exact(key, value) for key, value in body.items()}


def checked_value(key: str, value: object) -> Any:
    """The value for a key that can be written. Raises 400."""
    _validate(_VALUES.get(key, _PROPERTY), value, f"'{key}': ")
    return _exact(key, value)


def check_permission(caller: Caller, key: str, value: object, owner: str) -> None:
    """Whether the caller may set this key, of an image that ``owner`` owns, so. Raises 403."""
    if key == "visibility" and value == "public":
        policy.enforce(caller, "publicize_image", owner)
    if key == "visibility" and value == "community":
        policy.enforce(caller, "communitize_image", owner)
    if key == "owner" and value != owner:
        policy.enforce(caller, "change_owner", owner)


def _validate(validator: Any, value: object, where: str) -> None:
    for error in validator.iter_errors(value):
        place = "/".join(str(step) for step in error.instance_path)
        place = f"'{place}': " if place else where
        raise falcon.HTTPBadRequest(
            description=f"Provided object does not match schema 'image': {place}"
            f"{str(error.message)[:500]}"
        )


def _exact(key: str, value: object) -> Any:
    """The value as the log takes it: JSON's 1.0 is an integer too; NUL cannot be stored."""
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and "\0" in text for text in texts):
        raise falcon.HTTPBadRequest(description=f"'{key}' contains a NUL character.")
    if key in WHOLE_NUMBERS and isinstance(value, float):
        return int(value)
    return value

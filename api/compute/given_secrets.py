"""What a request for servers gives to keep, and the password that it is answered with.

User data is kept while the server lives, the password where something will read it: a config
drive, or the same request again. Without either nothing is kept of a password at all.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson

from api.bus import Refused, Unavailable
from api.compute import fields
from api.compute.operation import Call
from api.compute.secret_store import SecretsNotStored, SecretStore, SecretsUnreadable
from api.compute.server_document import secrets_of
from api.image.direct import load_key
from commands.compute.secrets_request import Secrets
from events.bounds import OutOfBounds
from events.compute.server import ImageSnapshot, SecretsRef
from projections.compute.server_queries import find_server

PASSWORD_CHARACTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnopqrstuvwxyz"
"""Without those that look alike."""


def password_for(call: Call, body: dict[str, Any]) -> str:
    """Return the password asked for, or a new one; empty where servers get none."""
    given: str | None = body.get("adminPass")
    if given:
        return given
    characters = call.services.settings.admin_password_chars
    return "".join(secrets.choice(PASSWORD_CHARACTERS) for _ in range(characters))


def fingerprint(call: Call) -> str:
    """Return a hash (hex) of the body, which tells nothing to who lacks the API's own key.

    The password is no part of it: it may be short enough to be guessed, and a record is for ever.
    """
    server = {name: value for name, value in call.body["server"].items() if name != "adminPass"}
    content = orjson.dumps(call.body | {"server": server}, option=orjson.OPT_SORT_KEYS)
    key = load_key(call.services.settings.idempotency_key_path)
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def store_of(call: Call) -> SecretStore:
    """Return the site's store of secrets."""
    return SecretStore(call.services.settings.secrets_path)


def keep(
    call: Call,
    body: dict[str, Any],
    image: ImageSnapshot | None,
    ids: list[str],
    password: str,
    *,
    repeatable: bool,
) -> SecretsRef | None:
    """Store what must be kept of the request. Raises ``Unavailable`` when that cannot be done."""
    mandatory = image is not None and image.properties.get("img_config_drive") == "mandatory"
    read = repeatable or mandatory or fields.is_true(body.get("config_drive"))
    kept = Secrets(
        user_data=body.get("user_data") or None,
        admin_password=password if password and read else None,
    )
    if kept == Secrets() or not ids:
        return None
    try:
        return store_of(call).put(ids, kept)
    except SecretsNotStored as error:
        raise Unavailable(str(error)) from error


@contextmanager
def dropped_unless_sent(call: Call, kept: SecretsRef | None) -> Iterator[None]:
    """Forget what was kept when the command is refused. Where its outcome is unknown, the servers
    may come to be: then a sweep tells later."""
    try:
        yield
    except (Refused, OutOfBounds, Unavailable) as error:
        if kept is not None and not (isinstance(error, Unavailable) and error.maybe_sent):
            with suppress(OSError):
                store_of(call).drop_all(kept.secrets_id)
        raise


def first_password(call: Call, server_id: str, kept: SecretsRef | None, password: str) -> str:
    """Return the password of the first request with this Idempotency-Key, whose server it is, and
    forget what this one gave to keep; empty when it is gone with the server."""
    row = find_server(call.services.engine, server_id)
    first = secrets_of(row) if row is not None else None
    if kept is None or row is None or (first is not None and first.secrets_id == kept.secrets_id):
        return password  # this is the first one, or the tables are behind
    with suppress(OSError):
        store_of(call).drop_all(kept.secrets_id)
    if first is None:
        return ""
    try:
        found = store_of(call).open(first.secrets_id, server_id)
    except SecretsUnreadable:
        return ""
    return found.admin_password or ""

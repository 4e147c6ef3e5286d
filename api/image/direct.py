"""Image data by its checksum, for hosts: no token, but a signed link.

What a link is stands in ``commands.image.direct_url``. The key is a file that the deciders and
agents which make links can read as well.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

import falcon

from api.image.means import Means
from api.image.sending import send_data
from commands.image.direct_url import opens

KEY_BYTES = 32
SHA512 = re.compile(r"[0-9a-f]{128}")


class BadKey(Exception):
    """The file does not hold a key; the text says what is wrong."""


def load_key(path: Path) -> bytes:
    """The key in ``path``; made, for the owner only to read, if there is none. Raises ``BadKey``.

    Processes that start at once agree: the first link wins, complete.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise BadKey(f"{path} must hold exactly {KEY_BYTES} bytes, but holds {len(key)}")
    return key


class Direct:
    """``/v2/direct/{sha512}?expires=…&signature=…``."""

    public_methods = ("GET",)

    def __init__(self, means: Means) -> None:
        self._means = means
        self._key = load_key(means.settings.image_url_key_path)

    def on_get(self, req: falcon.Request, resp: falcon.Response, sha512: str) -> None:
        """The data, ranges too. 403 for a wrong or expired link."""
        expires = req.params.get("expires")
        signature = req.params.get("signature")
        if (
            not isinstance(expires, str)
            or not re.fullmatch(r"[0-9]{1,12}", expires)
            or not isinstance(signature, str)
            or not SHA512.fullmatch(sha512)
            or not opens(self._key, sha512, int(expires), signature, int(time.time()))
        ):
            raise falcon.HTTPForbidden(description="The link is not valid, or has expired.")
        send_data(req, resp, self._means.store, sha512)

"""How a host reads the secrets of its guests: it asks the API, signs, and opens the answer.

Nothing is kept: each answer is sealed for a key that is made for it and dropped after it. What an
API cannot answer now is ``SecretsUnavailable``, which is worth another try.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chronova.host_keys import HostKey
from chronova.host_requests import message_of, opened, post
from commands.compute.guest import Guest
from commands.compute.secrets_request import INFO, PATH, Asked, Request, Secrets
from handlers.compute.drivers.contract import DriverError, GuestSecrets, SecretsUnavailable

TIMEOUT_S = 30.0
REFUSED = (http.client.BAD_REQUEST, http.client.FORBIDDEN, http.client.NOT_FOUND)


class SecretsFetch:
    """Asks for the hosts whose keys it is given. Thread-safe."""

    def __init__(self, api_url: str, keys: Mapping[str, HostKey]) -> None:
        self._api_url = api_url
        self._keys = keys

    def __call__(self, host: str, guest: Guest) -> GuestSecrets:
        """Return the secrets of a guest. Raises ``SecretsUnavailable``; ``DriverError`` when they
        are refused."""
        answer_key = X25519PrivateKey.generate()
        status, body = self._asked(self._request(host, guest, answer_key))
        if status in REFUSED:
            raise DriverError(f"The API refused the secrets of the server: {message_of(body)}")
        if status != http.client.OK:
            raise SecretsUnavailable(f"The secrets could not be read: the API answered {status}.")
        try:
            found = msgspec.json.decode(opened(body, answer_key, INFO), type=Secrets)
        except (msgspec.DecodeError, ValueError) as error:
            raise SecretsUnavailable("The secrets could not be read: a broken answer.") from error
        return GuestSecrets(user_data=found.user_data, admin_password=found.admin_password)

    def _request(self, host: str, guest: Guest, answer_key: X25519PrivateKey) -> bytes:
        if guest.secrets is None:
            raise DriverError("The server has no secrets.")
        asked = Asked(
            host=host,
            server_id=guest.server_id,
            project_id=guest.project_id,
            generation=guest.generation,
            secrets_id=guest.secrets.secrets_id,
            at=int(time.time()),
            answer_key=answer_key.public_key().public_bytes_raw(),
        )
        signed = msgspec.json.encode(asked)
        return msgspec.json.encode(Request(asked=signed, signature=self._keys[host].sign(signed)))

    def _asked(self, body: bytes) -> tuple[int, bytes]:
        try:
            return post(self._api_url, PATH, body, TIMEOUT_S)
        except (http.client.HTTPException, OSError) as error:
            raise SecretsUnavailable(f"The secrets could not be read: {error}") from error

"""``POST /host-secrets``: a host reads the secrets of a server that is placed on it.

No token, but a signature with the host's own key. Whether the server is placed there now is asked
of its decider. The answer is sealed for a key that the host made for it, so nothing between them
can read it. What a request is stands in ``commands.compute.secrets_request``.
"""

from __future__ import annotations

import falcon
import msgspec

from api.bus import Actor, Unavailable
from api.compute.faults import bad_request, not_found
from api.compute.fleet import host_key
from api.compute.secret_store import SecretStore, SecretsUnreadable
from api.compute.signed_by_host import check_age, check_signature, sealed_for
from api.http.body import read_bytes
from api.http.rates import Limit
from api.services import Services
from commands.compute.read_secrets import ReadSecrets
from commands.compute.secrets_request import INFO, Asked, Request, Sealed

BODY_BYTES_MAX = 8192


class HostSecrets:
    """The resource."""

    public_methods = ("POST",)

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = SecretStore(services.settings.secrets_path)
        rates = services.settings.rates
        self._requests = Limit(rates.secrets_host, rates.processes)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 with the secrets, sealed. 400 for no request, 403 for another host's server or a
        key that is not the host's, 404 for what is not there, 429 for too many of one host, 503
        for an unknown host."""
        asked = self._signed(read_bytes(req, BODY_BYTES_MAX))
        self._requests.take(asked.host)
        command = ReadSecrets(
            server_id=asked.server_id,
            project_id=asked.project_id,
            host=asked.host,
            generation=asked.generation,
            secrets_id=asked.secrets_id,
        )
        actor = Actor("", asked.project_id, req.context.request_id)
        self._services.bus.send(command, asked.project_id, actor)
        try:
            found = self._store.open(asked.secrets_id, asked.server_id)
        except SecretsUnreadable as error:
            raise not_found(str(error)) from error
        sealed = sealed_for(asked.answer_key, msgspec.json.encode(found), INFO)
        resp.content_type = "application/json"
        resp.data = msgspec.json.encode(Sealed(sealed=sealed))

    def _signed(self, body: bytes) -> Asked:
        """What the host that it names has signed. Raises 400 or 403."""
        try:
            request = msgspec.json.decode(body, type=Request)
            asked = msgspec.json.decode(request.asked, type=Asked)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise bad_request("Malformed request body") from None
        key = host_key(self._services.engine, asked.host)
        if not key:  # just registered, perhaps: the tables may be behind
            raise Unavailable(f"No key of host {asked.host} is known.", maybe_sent=False)
        check_signature(asked.host, key, request.signature, request.asked)
        check_age(asked.at)
        return asked

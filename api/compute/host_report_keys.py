"""``POST /host-report-keys``: a host gets the key with which it proves its reports and heartbeats.

No token, but a signature with the key that the host registered with: so the report key of a name is
given to nobody else (``events.host_proof``). It is derived each time, and stored nowhere here.
"""

from __future__ import annotations

import falcon
import msgspec

from api.bus import Unavailable
from api.compute.faults import bad_request
from api.compute.fleet import host_keys
from api.compute.signed_by_host import check_age, check_signature, sealed_for
from api.http.body import read_bytes
from api.http.rates import Limit
from api.image.direct import load_key
from api.services import Services
from commands.compute.report_keys_request import INFO, AskedKeys, KeysRequest, ReportKeys
from commands.compute.secrets_request import Sealed
from events.host_proof import report_key

BODY_BYTES_MAX = 65536


class HostReportKeys:
    """The resource."""

    public_methods = ("POST",)

    def __init__(self, services: Services) -> None:
        self._services = services
        self._master = load_key(services.settings.host_proof_key_path)
        rates = services.settings.rates
        self._requests = Limit(rates.secrets_host, rates.processes)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 with the keys of the hosts that are known, sealed. 400 for no request, 403 for a key
        that is not the host's, 429 for too many of one host, 503 where none is known."""
        request, asked = _read(read_bytes(req, BODY_BYTES_MAX))
        registered = host_keys(self._services.engine, asked.hosts)
        keys: dict[str, bytes] = {}
        for host, signature in zip(asked.hosts, request.signatures, strict=True):
            if public_key := registered.get(host):
                check_signature(host, public_key, signature, request.asked)
                self._requests.take(host)
                keys[host] = report_key(self._master, host, public_key)
        check_age(asked.at)
        if not keys:  # just registered, perhaps: the tables may be behind
            raise Unavailable(f"No key of host {asked.hosts[0]} is known.", maybe_sent=False)
        answer = msgspec.json.encode(ReportKeys(keys=keys))
        resp.content_type = "application/json"
        resp.data = msgspec.json.encode(Sealed(sealed=sealed_for(asked.answer_key, answer, INFO)))


def _read(body: bytes) -> tuple[KeysRequest, AskedKeys]:
    """Return the request and what was signed. Raises 400."""
    try:
        request = msgspec.json.decode(body, type=KeysRequest)
        asked = msgspec.json.decode(request.asked, type=AskedKeys)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request("Malformed request body") from None
    if len(asked.hosts) != len(request.signatures) or len(set(asked.hosts)) != len(asked.hosts):
        raise bad_request("There is to be one signature for each host.")
    return request, asked

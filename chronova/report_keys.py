"""The keys with which this machine's hosts prove their reports and heartbeats.

A host asks the API for its key when it starts, and keeps it in its folder. A host that has none yet
registers and waits: without proof nothing that it says is believed. One that has one goes on with
it where the API does not answer now.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chronova.host_keys import HostKey
from chronova.host_requests import message_of, opened, post
from commands.compute.report_keys_request import (
    HOSTS_MAX,
    INFO,
    PATH,
    AskedKeys,
    KeysRequest,
    ReportKeys,
)

FILE_NAME = "report.key"
KEY_BYTES = 32
TIMEOUT_S = 5.0
AGAIN_S = 0.2
AGAIN_MAX_S = 2.0

logger = structlog.get_logger("agent")


class NotGiven(Exception):
    """The API gave no key; one sentence."""


class Pause(Protocol):
    """As ``chronova.stopping.Stop.pause``."""

    def __call__(self, seconds: float, /) -> bool:
        """Wait; whether the process is to end."""


class HostReportKeys:
    """The report keys of the hosts that have ``signers``. ``known``: by host, filled by
    ``obtain``; ``folder_of``: where a host keeps its own."""

    def __init__(
        self, api_url: str, signers: Mapping[str, HostKey], folder_of: Callable[[str], Path]
    ) -> None:
        self._api_url = api_url
        self._signers = signers
        self._folder_of = folder_of
        self._reason = ""
        self.known: dict[str, bytes] = {}

    def obtain(self, register: Callable[[], None], pause: Pause) -> bool:
        """Get the keys of all hosts; False where the process is to end before that.

        ``register`` has the hosts registered, which the API must know first; it is called where a
        host has no key yet. Raises what it raises.
        """
        for host in self._signers:
            if (kept := self._kept(host)) is not None:
                self.known[host] = kept
        with suppress(NotGiven):  # then those that were kept have to do
            self._ask(list(self.known))
        if len(self.known) == len(self._signers):
            return True
        register()
        wait_s = AGAIN_S
        while missing := [host for host in self._signers if host not in self.known]:
            try:
                before = len(self.known)
                self._ask(missing)
                wait_s = AGAIN_S if len(self.known) > before else wait_s
            except NotGiven as error:
                self._say(str(error))
            if len(self.known) < len(self._signers):
                if pause(wait_s):
                    return False
                wait_s = min(AGAIN_MAX_S, 1.5 * wait_s)
        return True

    def _ask(self, hosts: Sequence[str]) -> None:
        for first in range(0, len(hosts), HOSTS_MAX):
            some = {host: self._signers[host] for host in hosts[first : first + HOSTS_MAX]}
            for host, key in fetch(self._api_url, some).items():
                if self.known.get(host) != key:
                    self.known[host] = key
                    self._keep(host, key)

    def _say(self, reason: str) -> None:
        if reason != self._reason:
            logger.info("no_report_key_yet", reason=reason)
        self._reason = reason

    def _kept(self, host: str) -> bytes | None:
        """The key in the host's folder, if it was given for the host's key of now."""
        try:
            content = (self._folder_of(host) / FILE_NAME).read_bytes()
        except FileNotFoundError:
            return None
        public, key = content[:-KEY_BYTES], content[-KEY_BYTES:]
        return key if public.hex() == self._signers[host].public else None

    def _keep(self, host: str, key: bytes) -> None:
        path = self._folder_of(host) / FILE_NAME
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes.fromhex(self._signers[host].public) + key)
        new.replace(path)


def fetch(api_url: str, signers: Mapping[str, HostKey]) -> dict[str, bytes]:
    """Ask the API for the report keys of at most ``HOSTS_MAX`` hosts; those that it knows. Raises
    ``NotGiven``."""
    answer_key = X25519PrivateKey.generate()
    asked = msgspec.json.encode(
        AskedKeys(
            hosts=list(signers),
            at=int(time.time()),
            answer_key=answer_key.public_key().public_bytes_raw(),
        )
    )
    signatures = [signer.sign(asked) for signer in signers.values()]
    body = msgspec.json.encode(KeysRequest(asked=asked, signatures=signatures))
    try:
        status, answer = post(api_url, PATH, body, TIMEOUT_S)
    except (http.client.HTTPException, OSError) as error:
        raise NotGiven(f"The API does not answer: {error}") from error
    if status != http.client.OK:
        raise NotGiven(f"The API answered {status}: {message_of(answer)}")
    try:
        plain = opened(answer, answer_key, INFO)
        return msgspec.json.decode(plain, type=ReportKeys).keys
    except (ValueError, msgspec.DecodeError) as error:
        raise NotGiven("The API gave a broken answer.") from error

"""One client's way to the API: each attempt is one entry of the history. Nothing is tried again."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Any

import msgspec

from tests.bench.sites import Site
from tests.chaos.history.entries import MARK, SECOND, Recorder, Request, Seen, now
from tests.chaos.load import HANGS_S

IMPATIENT, SLOW = 0.1, 0.04
"""Shares of requests whose client soon hangs up, and whose client takes its time to send."""
PIECES, PIECE_S = 8, 0.1


class Answer(msgspec.Struct, frozen=True):
    """What came back; ``status`` None: nothing did."""

    status: int | None
    request_id: str = ""
    body: Any = None
    error: str = ""


class Caller:
    """A client number with a token and a connection of its own."""

    def __init__(self, site: Site, user: str, number: int, recorder: Recorder, chance: Random):
        own = site.client(user)
        self.number, self.project_id = number, own.project_id
        self._token = own.token
        self._host, _, port = site.settings.url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._recorder, self._chance = recorder, chance
        self._connection: http.client.HTTPConnection | None = None
        self._pause = threading.Event()

    def ask(
        self,
        request: Request,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        """Ask once and write down what came; ``request`` says what for."""
        began = now()
        answer = self._once(method, path, body, dict(headers or {}))
        found = answer.body if isinstance(answer.body, dict) else {}
        servers = found.get("servers", [])
        if request.operation == "show" and "server" in found:
            servers = [found["server"]]
        made = found.get("server", {}).get("id", "") if request.operation == "boot" else ""
        done = msgspec.structs.replace(
            request,
            client=self.number,
            project_id=self.project_id,
            began=began,
            ended=now(),
            status=answer.status,
            request_id=answer.request_id,
            server_id=request.server_id or made,
            seen=[seen(server) for server in servers],
            last=request.walk != "" and answer.status == 200 and "servers_links" not in found,
            error=answer.error,
        )
        self._recorder.add(done)
        return done

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        text = b"" if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json", "X-Auth-Token": self._token}
        kind = self._chance.random()
        patience_s = self._chance.uniform(0.005, 0.3) if kind < IMPATIENT else HANGS_S
        slow = IMPATIENT <= kind < IMPATIENT + SLOW and bool(text)
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, self._port, HANGS_S)
                self._connection.connect()
            self._connection.sock.settimeout(patience_s)
            self._send(self._connection, method, path, text, headers, slow)
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            hung = isinstance(error, TimeoutError) and time.monotonic() - began >= HANGS_S
            return Answer(None, error="hung" if hung else type(error).__name__)
        if response.will_close:
            self.close()
        request_id = response.headers.get("X-OpenStack-Request-Id", "")
        return Answer(response.status, request_id, _parsed(raw), _sentence(response.status, raw))

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        text: bytes,
        headers: dict[str, str],
        slow: bool,
    ) -> None:
        if not slow:
            connection.request(method, path, text or None, headers)
            return
        connection.putrequest(method, path)
        for name, value in (headers | {"Content-Length": str(len(text))}).items():
            connection.putheader(name, value)
        connection.endheaders()
        size = -(-len(text) // PIECES)
        for at in range(0, len(text), size):
            self._pause.wait(PIECE_S)
            connection.send(text[at : at + size])


def seen(server: Mapping[str, Any]) -> Seen:
    """What a document of the API shows of a server."""
    return Seen(
        server["id"],
        server["OS-EXT-STS:vm_state"],
        server["OS-EXT-STS:task_state"],
        server["OS-EXT-STS:power_state"],
        int(datetime.fromisoformat(server["updated"]).timestamp()),
        server["metadata"].get(MARK, ""),
    )


def seen_of(state: Any) -> Seen:
    """What is to be seen of a server whose state is this."""
    return Seen(
        state.server_id,
        state.vm_state,
        state.task_state,
        state.power_state,
        state.updated_at // SECOND,
        state.metadata.get(MARK, ""),
    )


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _sentence(status: int, raw: bytes) -> str:
    return raw.decode("utf-8", "replace")[:200] if status >= 400 else ""

"""A small client of our own API, for starting up: a token, JSON calls, one upload.

Everything else uses the ordinary OpenStack clients.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0


class ClientError(Exception):
    """The API refused, or cannot be reached; ``status`` 0 means the latter."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """Calls the API at ``url`` with the token of ``login``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.token = ""
        """Of the last ``login``."""
        self.project_id = ""
        """That the token is for."""

    def login(self, user: str, password: str, project: str) -> None:
        """Get a token. Raises ``ClientError`` (401: wrong password)."""
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        scope = {"project": {"name": project, "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = self._open("POST", "/identity/v3/auth/tokens", json.dumps(body).encode())
        self.token = answer.headers["X-Subject-Token"]
        self.project_id = json.loads(answer.read())["token"]["project"]["id"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A JSON call; the answer's body. Raises ``ClientError``."""
        sent = None if body is None else json.dumps(body).encode()
        answer = self._open(method, path, sent)
        raw = answer.read()
        return json.loads(raw) if raw else None

    def upload(self, path: str, file: Path) -> None:
        """PUT a file's content, streamed. Raises ``ClientError``."""
        with file.open("rb") as content:
            self._open("PUT", path, content, "application/octet-stream", length=file.stat().st_size)

    def _open(
        self,
        method: str,
        path: str,
        body: Any,
        content_type: str = "application/json",
        length: int | None = None,
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        if length is not None:
            headers["Content-Length"] = str(length)
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        try:
            answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")[:500]
            raise ClientError(error.code, f"{method} {path}: {error.code} {text}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(0, f"{method} {path}: {error}") from error
        return answer

"""The API's worker with an application that waits, and with small bounds:
``python -m tests.chronova.roles.served PORT [BOUND=NUMBER ...]``. A bound is an attribute of
``Worker``, ``worker_connections``, ``open_files``, or ``waits_s``: how long a request waits for a
thread.

GET answers at once, or with as many bytes as ``?bytes=`` says; a path that ends in ``file`` sends
them from a file. POST reads its body and answers its length; a path that ends in ``held``, or
``?held=1``, waits until it is asked for ``/release``. With ``?unread=1`` the body is not read.
Whatever is sent is a token, of the user whose name comes before its hyphen.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from gunicorn.app.base import BaseApplication

from api.tokens.claims import Claims
from chronova.roles import lanes, pace
from chronova.roles.api_worker import Worker
from chronova.roles.callers import Callers
from projections.identity.standing import Scope

THREADS = 4
WAITING_MAX = 8
CONNECTIONS = 100
GRACE_S = 0.5
released = threading.Event()


def claims_of(token: str) -> Claims:
    """See the module."""
    return Claims(
        user_id=token.partition("-")[0],
        scope=Scope("project", "p"),
        methods=(),
        issued_at=0,
        expires_at=1 << 62,
        audit_ids=(),
    )


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """See the module."""
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    count = int(query.get("bytes", ["2"])[0])
    if path.endswith("/release"):
        released.set()
    elif path.endswith("/held") or "held" in query:
        released.wait()
    reads = environ["REQUEST_METHOD"] != "GET" and "unread" not in query
    body = environ["wsgi.input"].read() if reads else b""
    answer = str(len(body)).encode() if body else b"x" * count
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    if path.endswith("/file"):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by gunicorn
        file.write(answer)
        file.seek(0)
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped
    return [answer]


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with the settings of a site's API that matter here."""

    def load_config(self) -> None:
        """See gunicorn."""
        self.cfg.set("bind", [f"127.0.0.1:{sys.argv[1]}"])
        bounds = {"waiting_max": WAITING_MAX, "worker_connections": CONNECTIONS}
        for argument in sys.argv[2:]:
            name, _, number = argument.partition("=")
            bounds[name] = int(number)
        if "open_files" in bounds:
            files = bounds.pop("open_files")
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if "waits_s" in bounds:
            lanes.WAITS_S = bounds.pop("waits_s")
        self.cfg.set("worker_connections", bounds.pop("worker_connections"))
        of_test = {**bounds, "callers": Callers(claims_of)}
        self.cfg.set("worker_class", type("Small", (Worker,), of_test))
        self.cfg.set("threads", THREADS)
        self.cfg.set("keepalive", 75)
        self.cfg.set("graceful_timeout", 1)
        self.cfg.set("control_socket_disable", True)

    def load(self) -> Any:
        """See gunicorn."""
        return application


if __name__ == "__main__":
    pace.GRACE_S = GRACE_S
    Server().run()

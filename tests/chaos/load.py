"""Load over HTTP: boots and deletes, and a memory of everything that was acknowledged.

A request is tried again only after 503 or when the connection failed; creates carry an
Idempotency-Key, so an attempt whose outcome is unknown is not made twice. Whatever else happens
(another 5xx, a 503 without Retry-After, a client that waits 30 s, a server that is not there
though nobody deleted it) is a violation, kept as one sentence.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from typing import Any

from tests.bench.sites import Site

HANGS_S = 30.0
"""No answer may take longer."""
GIVES_UP_S = 120.0
"""A request that has not succeeded after so long, however often it was tried, never will."""
INVISIBLE_S = 30.0
"""While the projector is away, a server may be acknowledged and not shown for so long."""
PAUSE_S = 0.25
SLOW_S = 3.0
ACTIVE, DELETED = "active", "deleted"


class GaveUp(Exception):
    """A request was tried until ``GIVES_UP_S``, or the load was told to end."""


class Answer:
    """Status, headers and body; ``unsure``: an earlier attempt of it may have succeeded."""

    def __init__(self, status: int, headers: Any, body: bytes, unsure: bool) -> None:
        self.status = status
        self.headers = headers
        self.unsure = unsure
        self._body = body

    @property
    def json(self) -> Any:
        return json.loads(self._body)

    @property
    def text(self) -> str:
        return self._body.decode(errors="replace")


class Ledger:
    """What was acknowledged, and what must not have happened. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.servers: dict[str, str] = {}
        """By server id what its last acknowledged request wants: active or deleted."""
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.slowest_s = 0.0
        """The longest that one request took, all attempts together."""
        self.slow: list[str] = []

    def acknowledge(self, server_id: str, wanted: str) -> None:
        with self._lock:
            self.servers[server_id] = wanted

    def violate(self, sentence: str) -> None:
        with self._lock:
            self.violations.append(sentence)

    def count(self, what: str, took_s: float = 0.0) -> None:
        with self._lock:
            self.counts[what] += 1
            self.slowest_s = max(self.slowest_s, took_s)
            if took_s > SLOW_S:
                began = time.strftime("%H:%M:%S", time.localtime(time.time() - took_s))
                self.slow.append(f"{what} began {began}, took {took_s:.1f} s")


class Caller:
    """One thread's keep-alive connection, in the project of ``user``."""

    def __init__(
        self, site: Site, user: str, ledger: Ledger, stopped: threading.Event | None = None
    ) -> None:
        self._host, _, port = site.settings.url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._site, self._user = site, user
        self._ledger = ledger
        self._stopped = stopped or threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._token = ""

    def login(self) -> None:
        """Get a token, as patiently as anything else."""
        from chronova.credentials import read

        domain = {"id": "default"}
        password = getattr(read(self._site.settings), self._user)
        user = {"name": self._user, "domain": domain, "password": password}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": self._user, "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = self.call("POST", "/identity/v3/auth/tokens", body)
        if answer.status != 201:
            raise GaveUp(f"no token for {self._user}: {answer.status} {answer.text[:200]}")
        self._token = answer.headers["X-Subject-Token"]

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """One request until it is answered with something else than 503."""
        began = time.monotonic()
        unsure = False
        while True:
            answer = self._once(method, path, body, key)
            if answer is not None and answer.status != 503:
                self._note(method, path, answer, time.monotonic() - began)
                answer.unsure = unsure
                return answer
            unsure = True
            if time.monotonic() - began > GIVES_UP_S:
                self._ledger.violate(f"{method} {path} was not answered for {GIVES_UP_S:.0f} s")
                raise GaveUp(path)
            if self._stopped.wait(PAUSE_S):
                raise GaveUp(path)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note(self, method: str, path: str, answer: Answer, took_s: float) -> None:
        self._ledger.count(f"{method} {answer.status}", took_s)
        if answer.status >= 500:
            self._ledger.violate(f"{method} {path}: {answer.status} {answer.text[:300]}")

    def _once(self, method: str, path: str, body: Any, key: str | None) -> Answer | None:
        """An answer, or None when the connection failed."""
        headers = {"Content-Type": "application/json", "X-Auth-Token": self._token}
        if key is not None:
            headers["Idempotency-Key"] = key
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, self._port, HANGS_S)
            text = None if body is None else json.dumps(body)
            self._connection.request(method, path, text, headers)
            response = self._connection.getresponse()
            answer = Answer(response.status, response.headers, response.read(), False)
        except TimeoutError:
            self.close()
            waited = time.monotonic() - began
            self._ledger.violate(f"{method} {path} got no answer within {waited:.0f} s")
            return None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._ledger.count(type(error).__name__)
            return None
        if response.status == 503:
            self._ledger.count("503")
            if not response.headers.get("Retry-After"):
                self._ledger.violate(f"{method} {path}: 503 without Retry-After")
        return answer


class Load:
    """``threads`` boot and delete servers, together about ``rate`` requests a second; an
    acknowledged server has to show within ``invisible_s``."""

    def __init__(
        self,
        site: Site,
        *,
        threads: int = 4,
        rate: float = 4.0,
        seed: int = 0,
        keep: int = 20,
        invisible_s: float = INVISIBLE_S,
    ) -> None:
        self.ledger = Ledger()
        self._site = site
        self._rate = rate / threads
        self._keep = keep // threads
        self._invisible_s = invisible_s
        self._stop = threading.Event()
        self._given_up = threading.Event()
        self._image = ""
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}/{n}"), user))
            for n, user in zip(range(threads), ("admin", "demo") * threads, strict=False)
        ]

    def __enter__(self) -> Load:
        caller = Caller(self._site, "admin", self.ledger)
        caller.login()
        found = caller.call("GET", "/image/v2/images?name=demo").json["images"]
        self._image = found[0]["id"]
        caller.close()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, limit_s: float = 60.0) -> None:
        """Let each thread finish its request; those that cannot within the limit give up."""
        self._stop.set()
        end = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self.ledger.violate(f"a request was not done {limit_s:.0f} s after the last fault")
            self._given_up.set()
        for thread in self._threads:
            thread.join(HANGS_S + 5)
            if thread.is_alive():
                self.ledger.violate("a client's thread never came back")

    def acknowledged(self) -> int:
        """How many requests were acknowledged so far."""
        counts = self.ledger.counts
        return counts["POST 202"] + counts["DELETE 204"]

    def progress(self, since: int, limit_s: float) -> None:
        """Wait until something more than ``since`` was acknowledged; a violation after the limit:
        the site did not go on by itself."""
        end = time.monotonic() + limit_s
        while self.acknowledged() <= since:
            if time.monotonic() > end:
                self.ledger.violate(f"nothing was acknowledged for {limit_s:.0f} s after a fault")
                return
            self._stop.wait(PAUSE_S)

    def _run(self, chance: random.Random, user: str) -> None:
        caller = Caller(self._site, user, self.ledger, self._given_up)
        own: list[str] = []
        try:
            caller.login()
            while not self._stop.wait(chance.expovariate(self._rate)):
                self._look(caller, chance, own)
                if len(own) > self._keep or (own and chance.random() < 0.45):
                    self._delete(caller, own.pop(chance.randrange(len(own))))
                else:
                    self._boot(caller, own)
        except GaveUp as given_up:
            self.ledger.count(f"gave up: {given_up}")
        finally:
            caller.close()

    def _boot(self, caller: Caller, own: list[str]) -> None:
        key = uuid.uuid4().hex
        server = {"name": "chaos", "imageRef": self._image, "flavorRef": "42", "networks": "none"}
        path = "/compute/v2.1/servers"
        answer = caller.call("POST", path, {"server": server | {"networks": []}}, key)
        if answer.status == 202:
            server_id = answer.json["server"]["id"]
            self.ledger.acknowledge(server_id, ACTIVE)
            own.append(server_id)
            self._await_visible(caller, server_id)
        elif answer.status != 403:  # the quota, which is small on purpose
            self.ledger.violate(f"POST {path}: {answer.status} {answer.text[:300]}")

    def _await_visible(self, caller: Caller, server_id: str) -> None:
        """An acknowledged server shows at once; or when the projector is back, or has made up for
        what a crash of Postgres took: the tables' commits are not waited for, as the log's are."""
        end = time.monotonic() + self._invisible_s
        while caller.call("GET", f"/compute/v2.1/servers/{server_id}").status == 404:
            self.ledger.count("not visible yet")
            if time.monotonic() > end:
                self.ledger.violate(f"{server_id} did not show within {self._invisible_s:.0f} s")
                return
            if self._given_up.wait(PAUSE_S):
                raise GaveUp(server_id)

    def _delete(self, caller: Caller, server_id: str) -> None:
        answer = caller.call("DELETE", f"/compute/v2.1/servers/{server_id}")
        if answer.status == 404 and not answer.unsure:
            self._await_visible(caller, server_id)
            answer = caller.call("DELETE", f"/compute/v2.1/servers/{server_id}")
        if answer.status == 204 or (answer.status == 404 and answer.unsure):
            self.ledger.acknowledge(server_id, DELETED)
        else:
            self.ledger.violate(f"DELETE of {server_id}: {answer.status} {answer.text[:300]}")

    def _look(self, caller: Caller, chance: random.Random, own: list[str]) -> None:
        if not own:
            return
        server_id = chance.choice(own)
        answer = caller.call("GET", f"/compute/v2.1/servers/{server_id}")
        if answer.status == 404:
            self._await_visible(caller, server_id)
        elif answer.status != 200:
            self.ledger.violate(f"GET of {server_id}: {answer.status} {answer.text[:300]}")

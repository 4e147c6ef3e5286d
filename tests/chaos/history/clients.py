"""Clients that do all kinds of things at random to their own servers and to each other's."""

from __future__ import annotations

import threading
import uuid
from random import Random
from typing import Any

from tests.bench.sites import Site
from tests.chaos.history.caller import Caller
from tests.chaos.history.entries import MARK, NAMES, Recorder, Request
from tests.chaos.history.writes import unknown
from tests.chaos.load import HANGS_S

SERVERS = "/compute/v2.1/servers"
PAGE = 7
KEEP = 4
"""Servers that each client keeps: four clients of one project come near its quota of 15."""
PAUSE_S = 0.25
TRIES_MAX = 200
WEIGHTS = {
    **{"show": 24, "list": 8, "metadata": 14, "stop": 10, "start": 12, "reboot": 14, "delete": 5},
    "boot": 8,
}


class Clients:
    """``count`` threads, half of them in each of two projects, together about ``rate`` a second."""

    def __init__(
        self, site: Site, recorder: Recorder, seed: int, count: int = 10, rate: float = 20.0
    ) -> None:
        self._site = site
        self._recorder = recorder
        self._stop = threading.Event()
        image = site.client().call("GET", "/image/v2/images?name=demo")["images"][0]["id"]
        self._pools: dict[str, Pool] = {"admin": Pool(), "demo": Pool()}
        self._threads = []
        for number, user in zip(range(count), ("admin", "demo") * count, strict=False):
            chance = Random(f"{seed}/{number}")
            caller = Caller(site, user, number, recorder, chance)
            client = Client(caller, self._pools[user], chance, image, self._stop, rate / count)
            self._threads.append(threading.Thread(target=client.run, name=f"client {number}"))

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(HANGS_S + 10)
        assert not any(thread.is_alive() for thread in self._threads), "a client never came back"


class Pool:
    """The servers of a project that its clients know of. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[str] = []

    def add(self, server_id: str) -> None:
        with self._lock:
            self._all.append(server_id)

    def remove(self, server_id: str) -> None:
        with self._lock:
            if server_id in self._all:
                self._all.remove(server_id)

    def any(self, chance: Random) -> str | None:
        with self._lock:
            return chance.choice(self._all) if self._all else None


class Client:
    """One client; what it does follows from ``chance`` and from what it is answered."""

    def __init__(
        self,
        caller: Caller,
        pool: Pool,
        chance: Random,
        image: str,
        stop: threading.Event,
        rate: float,
    ) -> None:
        self._caller, self._pool, self._chance, self._image = caller, pool, chance, image
        self._stop, self._rate = stop, rate
        self._own: list[str] = []
        self._count = 0

    def run(self) -> None:
        """Go on until told to stop."""
        try:
            while not self._stop.wait(self._chance.expovariate(self._rate)):
                self._turn()
        finally:
            self._caller.close()

    def _turn(self) -> None:
        operation = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if operation == "list":
            self._walk()
        elif not self._own or (operation == "boot" and len(self._own) < KEEP):
            self._boot()
        elif operation != "boot" and (server_id := self._server()):
            self._act(operation, server_id)

    def _server(self) -> str | None:
        """Mostly one of its own, which others change too."""
        if self._chance.random() < 0.75:
            return self._chance.choice(self._own)
        return self._pool.any(self._chance)

    def _boot(self) -> None:
        """With an Idempotency-Key it is tried until it is answered, else once."""
        name = self._unique(NAMES)
        wanted = {"name": name, "imageRef": self._image, "flavorRef": "42", "networks": []}
        headers = {"Idempotency-Key": uuid.uuid4().hex} if self._chance.random() < 0.8 else {}
        for _ in range(TRIES_MAX if headers else 1):
            asked = _request("boot", name=name)
            done = self._caller.ask(asked, "POST", SERVERS, {"server": wanted}, headers)
            if not unknown(done):
                break
            if self._stop.wait(PAUSE_S):
                return
        if done.status == 202:
            self._own.append(done.server_id)
            self._pool.add(done.server_id)
            self._perhaps_look(done.server_id)

    def _act(self, operation: str, server_id: str) -> None:
        path, done = f"{SERVERS}/{server_id}", None
        if operation == "show":
            done = self._caller.ask(_request("show", server_id=server_id), "GET", path)
        elif operation == "delete":
            done = self._caller.ask(_request("delete", server_id=server_id), "DELETE", path)
        elif operation == "metadata":
            asked = _request("metadata", server_id=server_id, mark=self._unique("m-"))
            body = {"metadata": {MARK: asked.mark}}
            done = self._caller.ask(asked, "POST", f"{path}/metadata", body)
        else:
            hard = operation == "reboot" and self._chance.random() < 0.5
            kinds: dict[str, dict[str, Any]] = {
                "stop": {"os-stop": None},
                "start": {"os-start": None},
            }
            act = kinds.get(operation, {"reboot": {"type": "HARD" if hard else "SOFT"}})
            asked = _request(operation, server_id=server_id, hard=hard)
            done = self._caller.ask(asked, "POST", f"{path}/action", act)
        if operation != "show":
            self._perhaps_look(server_id)
        if done.status == 404 or (operation == "delete" and done.status == 204):
            self._pool.remove(server_id)
            if server_id in self._own:
                self._own.remove(server_id)

    def _perhaps_look(self, server_id: str) -> None:
        """See at once what was written."""
        if self._chance.random() < 0.6:
            asked = _request("show", server_id=server_id)
            self._caller.ask(asked, "GET", f"{SERVERS}/{server_id}")

    def _walk(self) -> None:
        """Page through all servers of the project."""
        walk, marker = self._unique("w-"), ""
        while True:
            asked = _request("list", walk=walk)
            page = self._caller.ask(asked, "GET", f"{SERVERS}/detail?limit={PAGE}{marker}")
            if page.status != 200 or page.last or not page.seen:
                return
            marker = f"&marker={page.seen[-1].server_id}"

    def _unique(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._caller.number}-{self._count}"


def _request(operation: str, **about: object) -> Request:
    """An attempt that was not made yet."""
    made = {"client": 0, "project_id": "", "began": 0, "ended": 0, "status": None}
    return Request(operation=operation, **made | about)  # type: ignore[arg-type]

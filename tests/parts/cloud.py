"""A cloud's API in process: the real application, deciders and Postgres, no broker.

``Cloud`` holds what a test needs of it; ``Session`` speaks to it as one user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import falcon
import falcon.testing

import commands.identity  # noqa: F401 - this and the next two register the domain
import handlers.reactions  # noqa: F401
import projections.identity  # noqa: F401
from api.app import create_app
from api.identity.first_users import KEY, first_users
from api.services import ApiSettings, Services
from tests.parts.local_bus import LocalBus, store

ADMIN_PASSWORD = "correct horse battery staple"
DEMO_PASSWORD = "swordfish-and-chips"


class Cloud:
    """One API application on a store of its own, with the first users."""

    def __init__(self, services: Services, bus: LocalBus, packages: Sequence[str]) -> None:
        self.services = services
        self.bus = bus
        self.app: falcon.App[Any, Any] = create_app(services, packages)
        bus.send(first_users(services.engine, ADMIN_PASSWORD, DEMO_PASSWORD), KEY)

    def client(self) -> Session:
        """Nobody in particular."""
        return Session(self.app)

    def admin(self, scope: dict[str, Any] | None = None) -> Session:
        """The user admin, on the project admin unless another scope is given."""
        return self.client().login("admin", ADMIN_PASSWORD, scope or project_scope("admin"))

    def demo(self) -> Session:
        """The user demo, a plain member of the project demo."""
        return self.client().login("demo", DEMO_PASSWORD, project_scope("demo"))


class Session(falcon.testing.TestClient):
    """A client that sends its token. Answers are checked by their status in one call."""

    def __init__(self, app: Any, token: str = "", body: dict[str, Any] | None = None) -> None:
        super().__init__(app)
        self.token = token
        self.body: dict[str, Any] = body or {}
        """What the login answered: ``token`` of Keystone."""

    def login(self, user: str, password: str, scope: Any = None) -> Session:
        """A session of that user of the default domain."""
        named = {"name": user, "domain": {"id": "default"}, "password": password}
        return self.authenticate({"methods": ["password"], "password": {"user": named}}, scope)

    def authenticate(self, identity: dict[str, Any], scope: Any = None) -> Session:
        """A session by these proofs."""
        answer = self.try_login(identity, scope)
        assert answer.status_code == 201, answer.text
        token = answer.headers["x-subject-token"]
        return Session(self.app, token, answer.json["token"])

    def try_login(self, identity: dict[str, Any], scope: Any = None) -> falcon.testing.Result:
        """The answer to ``POST /v3/auth/tokens``."""
        auth: dict[str, Any] = {"identity": identity}
        if scope is not None:
            auth["scope"] = scope
        return self.simulate_post("/identity/v3/auth/tokens", json={"auth": auth})

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        expect: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The JSON of the answer (None for none), whose status must be ``expect``."""
        answer = self.answer(method, path, body, headers)
        assert answer.status_code == expect, f"{method} {path}: {answer.status} {answer.text}"
        return answer.json if answer.content else None

    def answer(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> falcon.testing.Result:
        """The answer."""
        sent = {**({"X-Auth-Token": self.token} if self.token else {}), **(headers or {})}
        path, _, query = path.partition("?")
        return self.simulate_request(
            method, path, query_string=query or None, json=body, headers=sent
        )


def project_scope(name: str) -> dict[str, Any]:
    """A scope: that project of the default domain."""
    return {"project": {"name": name, "domain": {"id": "default"}}}


SYSTEM: dict[str, Any] = {"system": {"all": True}}


@contextmanager
def cloud(
    url: str, data_path: Path, packages: Sequence[str] = ("identity",), **settings: Any
) -> Iterator[Cloud]:
    """A cloud on the Postgres at ``url``; its tables go at the end."""
    with store(url) as engine:
        bus = LocalBus(engine)
        services = Services(bus, engine, ApiSettings(data_path=data_path, **settings))
        yield Cloud(services, bus, packages)

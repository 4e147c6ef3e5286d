"""A whole cloud in one process for the questions that are asked of every route.

All services on the real deciders, folds and Postgres, stocked with two tenants' things. Callers are
users with real role assignments, whose real tokens the real authenticator has read once; from then
on each is known by its name, so that nothing a test sends can end its own session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import falcon
import falcon.testing
import sqlalchemy

from api.app import SERVICES, create_app
from api.authentication import Authenticator, Unauthenticated
from api.bus import Actor, Bus, Unavailable
from api.caller import Caller
from api.identity.first_users import KEY, first_users
from api.services import ApiSettings, Services
from commands.compute.flavor import AddFlavorAccess, SetExtraSpecs
from commands.fleet.aggregate import CreateAggregate
from events.compute.flavor import KEY as FLAVORS
from events.message import Command
from projections.fleet.services import list_services
from tests.api.compute.world import World
from tests.parts.cloud import ADMIN_PASSWORD, SYSTEM, Session, project_scope
from tests.parts.local_bus import LocalBus, store

PASSWORD = "a password for a test"
KEY_NAME = "mine"
DEFAULT_DOMAIN: dict[str, Any] = {"domain": {"id": "default"}}

PEOPLE: Mapping[str, tuple[str, dict[str, Any] | None]] = {
    "admin": ("admin", project_scope("ours")),
    "admin elsewhere": ("admin", project_scope("theirs")),
    "manager": ("manager", project_scope("ours")),
    "member": ("member", project_scope("ours")),
    "reader": ("reader", project_scope("ours")),
    "service": ("service", project_scope("ours")),
    "stranger": ("member", project_scope("theirs")),
    "strange manager": ("manager", project_scope("theirs")),
    "unscoped": ("", None),
    "system admin": ("admin", SYSTEM),
    "system reader": ("reader", SYSTEM),
    "domain admin": ("admin", DEFAULT_DOMAIN),
    "domain manager": ("manager", DEFAULT_DOMAIN),
    "domain reader": ("reader", DEFAULT_DOMAIN),
}
"""Each kind of caller: its role, and the scope that it has it on."""


class Gate:
    """Callers by name, where the service asks who has sent a token."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller] = {}

    def authenticate(self, token: str) -> Caller:
        if token not in self.callers:
            raise Unauthenticated
        return self.callers[token]


class Away:
    """The bus while the log cannot be reached: what is allowed is asked for, and answered 503."""

    def send(self, command: Command, key: str, actor: Actor | None = None) -> None:
        raise Unavailable("The log is away.")


class Site:
    """``request`` asks as one of ``callers``; ``ours``, ``theirs``: ids of each tenant's things."""

    def __init__(self, engine: sqlalchemy.Engine, path: Path) -> None:
        self.bus = LocalBus(engine)
        settings = ApiSettings(data_path=path, public_url="http://cloud.test")
        self.services = Services(self.bus, engine, settings)
        self.gate = Gate()
        self.app = create_app(self.services, SERVICES, self.gate)
        self.app_away = create_app(self._with(Away()), SERVICES, self.gate)
        self.host = World(self.services, self.bus)
        self.tokens: dict[str, str] = {}
        """The callers' real tokens."""
        self.ids: dict[str, str] = {}
        self.ours: dict[str, str] = {}
        self.theirs: dict[str, str] = {}
        self._stock()

    @property
    def callers(self) -> Mapping[str, Caller]:
        return self.gate.callers

    def partner(self, own: Mapping[str, str]) -> Mapping[str, str]:
        """The other tenant."""
        return self.theirs if own is self.ours else self.ours

    def _with(self, bus: Bus) -> Services:
        return Services(bus, self.services.engine, self.services.settings)

    def request(
        self,
        caller: str | None,
        method: str,
        path: str,
        body: Any = None,
        version: str | None = None,
        *,
        away: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> falcon.testing.Result:
        """The answer. ``version``: of the compute API; ``away``: nothing can be decided."""
        sent = {} if caller is None else {"X-Auth-Token": caller}
        if version is not None:
            sent["OpenStack-API-Version"] = f"compute {version}, placement 1.39"
        path, _, query = path.partition("?")
        more: dict[str, Any] = {"body": body} if isinstance(body, bytes | str) else {"json": body}
        return falcon.testing.simulate_request(
            self.app_away if away else self.app,
            method,
            path,
            query_string=query,
            headers={**sent, **(headers or {})},
            **({} if body is None else more),
        )

    def must(self, caller: str, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that has to be good."""
        answer = self.request(caller, method, path, body, "2.104")
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json if answer.content else None

    # ------------------------------------------------------------- stock

    def _stock(self) -> None:
        engine = self.services.engine
        self.bus.send(first_users(engine, ADMIN_PASSWORD, None), KEY)
        authenticator = Authenticator(self.services)
        client = Session(create_app(self.services, ("identity",), authenticator))
        root = client.login("admin", ADMIN_PASSWORD, project_scope("admin"))
        self.gate.callers["root"] = authenticator.authenticate(root.token)
        self._name_the_given()
        for side, mine in (("ours", self.ours), ("theirs", self.theirs)):
            mine["project_id"] = self._make("project", name=side)
        for name, (role, scope) in PEOPLE.items():
            self._make_person(name, role, scope)
            session = client.login(f"the {name}", PASSWORD, scope)
            self.tokens[name] = session.token
            self.gate.callers[name] = authenticator.authenticate(session.token)
        self.ours["user_id"] = self.callers["member"].user_id
        self.theirs["user_id"] = self.callers["stranger"].user_id
        self._stock_identity()
        self._stock_fleet()
        self._stock_tenant("member", self.ours)
        self._stock_tenant("stranger", self.theirs)

    def _name_the_given(self) -> None:
        roles = self.must("root", "GET", "/identity/v3/roles")["roles"]
        self.ids |= {f"role {role['name']}": role["id"] for role in roles}

    def _make(self, kind: str, **fields: Any) -> str:
        body = {kind: fields}
        made: str = self.must("root", "POST", f"/identity/v3/{kind}s", body)[kind]["id"]
        return made

    def _make_person(self, name: str, role: str, scope: dict[str, Any] | None) -> None:
        user_id = self._make("user", name=f"the {name}", password=PASSWORD)
        if scope is None:
            return
        where = "system"
        if "project" in scope:
            own = self.ours if scope["project"]["name"] == "ours" else self.theirs
            where = f"projects/{own['project_id']}"
        elif "domain" in scope:
            where = "domains/default"
        role_id = self.ids[f"role {role}"]
        self.must("root", "PUT", f"/identity/v3/{where}/users/{user_id}/roles/{role_id}")

    def _stock_identity(self) -> None:
        ids = self.ids
        ids["domain"] = self._make("domain", name="elsewhere")
        ids["far project"] = self._make("project", name="far", domain_id=ids["domain"])
        ids["far user"] = self._make("user", name="far", domain_id=ids["domain"])
        ids["far group"] = self._make("group", name="far", domain_id=ids["domain"])
        ids["group"] = self._make("group", name="friends")
        ids["role"] = self._make("role", name="helper")
        ids["service"] = self.must("root", "GET", "/identity/v3/services")["services"][0]["id"]
        ids["endpoint"] = self.must("root", "GET", "/identity/v3/endpoints")["endpoints"][0]["id"]
        prior, implied = ids["role"], ids["role reader"]
        self.must("root", "PUT", f"/identity/v3/roles/{prior}/implies/{implied}")
        for own in (self.ours, self.theirs):
            project, user = f"projects/{own['project_id']}", f"users/{own['user_id']}"
            self.must("root", "PUT", f"/identity/v3/groups/{ids['group']}/{user}")
            self.must("root", "PUT", f"/identity/v3/{project}/tags/blue")
            for target in (project, "domains/default", "system"):
                for actor in (user, f"groups/{ids['group']}"):
                    self.must("root", "PUT", f"/identity/v3/{target}/{actor}/roles/{implied}")

    def _stock_fleet(self) -> None:
        self.host.host("c1", vcpus=512)
        self.host.flavor("m1.tiny")
        self.host.flavor("m1.secret", is_public=False)
        self.bus.send(SetExtraSpecs(flavor_id="m1.tiny", extra_specs={"own:a": "b"}), FLAVORS)
        access = AddFlavorAccess(flavor_id="m1.secret", project_id=self.theirs["project_id"])
        self.bus.send(access, FLAVORS)
        rack = "11111111-1111-4111-8111-111111111111"
        self.bus.send(CreateAggregate(aggregate_id=rack, name="rack"), "default")
        (aggregate,) = self.must("root", "GET", "/compute/v2.1/os-aggregates")["aggregates"]
        self.ids["aggregate"] = str(aggregate["id"])
        with self.services.engine.connect() as connection:
            (service,) = [s for s in list_services(connection, 0) if s.binary == "nova-compute"]
        self.ids["compute service"] = service.id
        hypervisors = self.must("root", "GET", "/compute/v2.1/os-hypervisors")["hypervisors"]
        self.ids["node"] = hypervisors[0]["id"]
        old = self.request("root", "GET", "/compute/v2.1/os-hypervisors", version="2.1").json
        self.ids["old node"] = str(old["hypervisors"][0]["id"])

    def _stock_tenant(self, caller: str, own: dict[str, str]) -> None:
        project, user = own["project_id"], own["user_id"]
        own["public image"] = self.host.image("public", project)
        image = {"name": "private", "disk_format": "raw", "container_format": "bare"}
        made = self.must(caller, "POST", "/image/v2/images", image | {"visibility": "private"})
        own["image_id"] = made["id"]
        path = f"/image/v2/images/{made['id']}/file"
        octets = {"Content-Type": "application/octet-stream"}
        answer = self.request(caller, "PUT", path, b"some data", headers=octets)
        assert answer.status_code == 204, answer.text
        own["shared image"] = self.host.image("shared", project, visibility="shared")
        path = f"/image/v2/images/{own['shared image']}/members"
        self.must(caller, "POST", path, {"member": self.partner(own)["project_id"]})
        self.must(caller, "PUT", f"/image/v2/images/{own['image_id']}/tags/blue")
        self.host.key_pair(KEY_NAME, user)
        own["server_id"] = self.boot(caller)
        body = {"application_credential": {"name": f"of {caller}"}}
        path = f"/identity/v3/users/{user}/application_credentials"
        made = self.must(caller, "POST", path, body)["application_credential"]
        own["credential_id"] = made["id"]

    def boot(self, caller: str) -> str:
        """A server that runs, with a tag ``blue`` and metadata ``k``; its id."""
        own = self.ours if caller != "stranger" else self.theirs
        server = {
            "name": "vm",
            "imageRef": own["public image"],
            "flavorRef": "m1.tiny",
            "networks": "none",
            "tags": ["blue"],
            "metadata": {"k": "v"},
        }
        made = self.must(caller, "POST", "/compute/v2.1/servers", {"server": server})["server"]
        self.host.work()
        server_id: str = made["id"]
        console = self.services.settings.instances_path / "c1" / server_id / "console.log"
        console.parent.mkdir(parents=True, exist_ok=True)
        console.write_text("booting\n")
        return server_id


@contextmanager
def site(url: str, path: Path) -> Iterator[Site]:
    """A cloud on the Postgres at ``url``; its tables go at the end."""
    with store(url) as engine:
        yield Site(engine, path)

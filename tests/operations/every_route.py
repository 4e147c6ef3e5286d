"""A good request to every route of a running site, as its admin, over HTTP; what removes, last.

Paths and bodies are those of ``tests.conformance.samples``, about things that are made here.
"""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from api.app import SERVICES, create_app
from api.services import ApiSettings, Services
from chronova.client import Client
from tests.conformance.inventory import Route, removed, routes, windows
from tests.conformance.samples import PUBLIC_KEY, body_of, headers_of, path_of, query_of
from tests.conformance.samples import values as values_of
from tests.conformance.site import KEY_NAME, Away, Gate
from tests.conformance.site import Site as Stocked

FLAVOR = "to-be-removed"
CLIENT_S = 60


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    request_id: str


class Stock:
    """One of everything, in a project of its own; what ``samples`` wants to know of a cloud."""

    def __init__(self, admin: Client) -> None:
        self._admin = admin
        self.ids: dict[str, str] = {}
        self.ours = self.theirs = own = {"project_id": self._identity("project")}
        own["user_id"] = self._identity("user")
        self.ids["group"] = self._identity("group")
        self.ids["role"] = self._identity("role")
        for role in self._named("identity/v3", "roles"):
            self.ids[f"role {role['name']}"] = role["id"]
        self.ids["service"] = self._named("identity/v3", "services")[0]["id"]
        self.ids["endpoint"] = self._named("identity/v3", "endpoints")[0]["id"]
        self._grants()
        self._compute()
        image = {"name": FLAVOR, "disk_format": "raw", "container_format": "bare"}
        own["image_id"] = admin.call("POST", "/image/v2/images", image)["id"]
        shared = admin.call("POST", "/image/v2/images", image | {"visibility": "shared"})["id"]
        own["shared image"] = shared
        member = {"member": own["project_id"]}
        admin.call("POST", f"/image/v2/images/{shared}/members", member)
        admin.call("PUT", f"/image/v2/images/{own['image_id']}/tags/blue")
        me = admin.call("GET", "/identity/v3/users?name=admin")["users"][0]["id"]
        path = f"/identity/v3/users/{me}/application_credentials"
        made = admin.call("POST", path, {"application_credential": {"name": FLAVOR}})
        own["credential_id"] = made["application_credential"]["id"]
        self.me = me

    @property
    def tokens(self) -> Mapping[str, str]:
        """A token to ask about and to revoke, which is not that of who asks."""
        return {"member": self.token}

    token = ""

    def partner(self, own: Mapping[str, str]) -> Mapping[str, str]:
        """The same: one tenant is enough."""
        return own

    def changed(self, route: Route) -> dict[str, str]:
        """What stands in a path where ``samples`` has a name of its own cloud."""
        named = {"flavor_id": FLAVOR, "host": self.ids["host"]}
        if "application_credentials" in route.path:
            named["user_id"] = self.me
        return named

    def _identity(self, kind: str) -> str:
        made = self._admin.call("POST", f"/identity/v3/{kind}s", {kind: {"name": FLAVOR}})
        return str(made[kind]["id"])

    def _named(self, service: str, kind: str) -> list[dict[str, Any]]:
        return list(self._admin.call("GET", f"/{service}/{kind}")[kind])

    def _grants(self) -> None:
        prior, implied = self.ids["role"], self.ids["role reader"]
        user, group = f"users/{self.ours['user_id']}", f"groups/{self.ids['group']}"
        project = f"projects/{self.ours['project_id']}"
        put = [f"roles/{prior}/implies/{implied}", f"{group}/{user}", f"{project}/tags/blue"]
        for target in (project, "domains/default", "system"):
            put += [f"{target}/{actor}/roles/{implied}" for actor in (user, group)]
        for path in put:
            self._admin.call("PUT", f"/identity/v3/{path}")

    def _compute(self) -> None:
        admin, compute = self._admin, "/compute/v2.1"
        flavor = {"id": FLAVOR, "name": FLAVOR, "ram": 1, "vcpus": 1, "disk": 0}
        admin.call("POST", f"{compute}/flavors", {"flavor": flavor})
        specs = {"extra_specs": {"own:a": "b"}}
        admin.call("POST", f"{compute}/flavors/{FLAVOR}/os-extra_specs", specs)
        pair = {"keypair": {"name": KEY_NAME, "public_key": PUBLIC_KEY}}
        admin.call("POST", f"{compute}/os-keypairs", pair)
        (made,) = [admin.call("POST", f"{compute}/os-aggregates", {"aggregate": {"name": FLAVOR}})]
        self.ids["aggregate"] = str(made["aggregate"]["id"])
        (service,) = self._services()
        self.ids |= {"compute service": str(service["id"]), "host": str(service["host"])}
        self.ids["node"] = str(
            admin.call("GET", f"{compute}/os-hypervisors")["hypervisors"][0]["id"]
        )
        self.ours["public image"] = self._public_image()
        server = {"name": FLAVOR, "imageRef": self.ours["public image"], "flavorRef": "1"}
        made = admin.call(
            "POST", f"{compute}/servers", {"server": {**server, "metadata": {"k": "v"}}}
        )
        self.ours["server_id"] = made["server"]["id"]

    def _public_image(self) -> str:
        """One with data: that which a site begins with may have been removed."""
        wanted = {"name": FLAVOR, "disk_format": "raw", "container_format": "bare"}
        made = self._admin.call("POST", "/image/v2/images", wanted | {"visibility": "public"})
        with tempfile.NamedTemporaryFile() as content:
            content.write(b"x" * 512)
            content.flush()
            self._admin.upload(f"/image/v2/images/{made['id']}/file", Path(content.name))
        return str(made["id"])

    def _services(self) -> list[dict[str, Any]]:
        found = self._admin.call("GET", "/compute/v2.1/os-services?binary=nova-compute")
        return list(found["services"])


def every_route(folder: Path) -> list[Route]:
    """All that are not gone for good: reads and changes, then what removes, the innermost first."""
    settings = ApiSettings(data_path=folder, public_url="http://unused.test")
    app = create_app(Services(Away(), cast(Any, None), settings), SERVICES, Gate())
    gone = removed()
    found = [route for route in routes(app) if route not in gone]
    return sorted(found, key=lambda route: (removes(route), route.action, -len(route.path), route))


def removes(route: Route) -> bool:
    """Whether it takes something away."""
    return route.method == "DELETE" or route.action == "forceDelete"


def ask_all(url: str, admin: Client, stock: Stock, folder: Path) -> Iterator[tuple[Route, Answer]]:
    """Ask for each; the answers."""
    like = cast(Stocked, stock)
    for route in every_route(folder):
        known = windows().get(route)
        minor = known.until if known is not None else 104
        given = values_of(like, route, stock.ours) | stock.changed(route)
        path = path_of(route, given)
        if not route.path.startswith("/compute/v2.1/os-keypairs"):
            path += query_of(like, route, stock.ours)
        body = body_of(like, route, stock.ours, minor)
        sent = {
            "X-Auth-Token": admin.token,
            "OpenStack-API-Version": f"compute 2.{minor}, placement 1.39",
            "Content-Type": "application/json",
            **headers_of(like, route, stock.ours),
        }
        raw = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        yield route, _ask(urllib.request.Request(url + path, raw, sent, method=route.method))


def _ask(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=CLIENT_S) as answer:
            answer.read()
            return Answer(answer.status, answer.headers.get("X-OpenStack-Request-Id", ""))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get("X-OpenStack-Request-Id", ""))

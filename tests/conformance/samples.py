"""A request to each route that is good: what stands in its path, and its body.

Who asks a question of every route starts from here, so that what is refused is refused for the one
reason that the question is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from schemas.catalog import id_of
from tests.conformance.inventory import COMPUTE, PARAMETER, Route
from tests.conformance.site import KEY_NAME, Site

UNKNOWN = "99999999-9999-4999-8999-999999999999"
"""An id that nothing has."""

SUBJECT = "chronova.compute.ServerCreated"
"""A schema's name in the registry."""

NOTHING_THERE = frozenset(
    f"{COMPUTE}{path}"
    for path in (
        "/servers/{}/ips/{}",
        "/servers/{}/os-volume_attachments/{}",
        "/servers/{}/os-interface/{}",
        "/servers/{}/os-instance-actions/{}",
        "/servers/{}/migrations/{}",
        "/os-server-groups/{}",
    )
)
"""Paths of things that this cloud never has: 404 for whoever may ask."""

PATCH_TYPE = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OCTETS = {"Content-Type": "application/octet-stream"}


def tail(route: Route) -> str:
    """The shape without the service's mount; an action's key after ``#``."""
    mount = COMPUTE if route.shape.startswith(COMPUTE) else f"/{route.service}"
    action = f"#{route.action}" if route.action else ""
    return route.shape.removeprefix(mount) + action


def values(site: Site, route: Route, own: Mapping[str, str]) -> dict[str, str]:
    """What stands for each parameter of the path, of the tenant ``own``."""
    ids = site.ids
    on_grants = "/roles/{" in route.path and "/v3/roles/" not in route.path
    secret = route.shape.endswith(("/os-flavor-access", "/flavors/{}/action"))
    shared = "/members" in route.path
    known = {
        "version": "v2.1" if route.service == "compute" else "v1",
        "flavor_id": "m1.secret" if secret else "m1.tiny",
        "spec": "own:a",
        "key_pair_name": KEY_NAME,
        "aggregate": ids["aggregate"],
        "hypervisor": ids["node"],
        "host": "c1",
        "tag": "blue",
        "key": "k",
        "quota_class": "default",
        "alias": "os-keypairs",
        "service_id": ids["compute service"],
        "domain_id": "default",
        "group_id": ids["group"],
        "role_id": ids["role reader" if on_grants else "role"],
        "implied_id": ids["role reader"],
        "image_id": own["shared image" if shared else "image_id"],
        "member_id": site.partner(own)["project_id"],
        "action": "deactivate",
        "schema": "image",
        "sha512": "0" * 128,
        "provider": ids["node"],
        "consumer": own["server_id"],
        "name": "VCPU",
        "id": ids["endpoint" if "endpoints" in route.path else "service"],
    }
    if "regions" in route.path:
        known["id"] = "RegionOne"
    if route.shape == "/placement/traits/{}":
        known["name"] = "COMPUTE_NODE"
    if route.service == "registry":
        known |= {"name": SUBJECT, "version": "1", "id": str(id_of("compute.ServerCreated", 1))}
    if route.path.startswith(f"{COMPUTE}/os-server-groups"):
        known["group_id"] = UNKNOWN
    if route.shape == f"{COMPUTE}/os-hypervisors/{{}}/search":
        known["hypervisor"] = "c1"
    if route.shape == f"{COMPUTE}/os-hypervisors/{{}}/servers":
        known["hypervisor"] = "c1"
    return {name: known.get(name) or own.get(name) or UNKNOWN for name in route.parameters}


def path_of(route: Route, given: Mapping[str, str]) -> str:
    """The path with its parameters put in."""
    return PARAMETER.sub(lambda found: quote(given[found[1]], safe=":"), route.path)


def body_of(site: Site, route: Route, own: Mapping[str, str], version: int = 104) -> Any:
    """A good body for that route at 2.``version``; None when it takes none. Raises ``KeyError``
    for a route that is written to and has no sample here."""
    if route.method in ("GET", "HEAD", "DELETE"):
        return None
    makers: dict[str, Any] = {
        "compute": _compute_bodies,
        "identity": _identity_bodies,
        "image": _image_bodies,
    }
    maker = makers.get(route.service)
    if maker is None:
        return {}
    return maker(site, own, version)[f"{route.method} {tail(route)}"]


def headers_of(site: Site, route: Route, own: Mapping[str, str]) -> dict[str, str]:
    """The headers that the route needs beside the usual ones."""
    if route.shape == "/identity/v3/auth/tokens" and route.method != "POST":
        return {"X-Subject-Token": site.tokens["member" if own is site.ours else "stranger"]}
    if route.shape == "/image/v2/images/{}" and route.method == "PATCH":
        return PATCH_TYPE
    if route.shape in ("/image/v2/images/{}/file", "/image/v2/images/{}/stage"):
        return OCTETS if route.method == "PUT" else {}
    return {}


def query_of(site: Site, route: Route, own: Mapping[str, str]) -> str:
    """The query string that the route needs to mean ``own``'s thing."""
    if route.shape.startswith(f"{COMPUTE}/os-keypairs") and route.method != "POST":
        return f"?user_id={own['user_id']}"
    if route.shape == "/placement/allocation_candidates":
        return "?resources=VCPU:1"
    if route.shape == "/placement/usages":
        return f"?project_id={own['project_id']}"
    return ""


def _compute_bodies(site: Site, own: Mapping[str, str], version: int) -> dict[str, Any]:
    server = {"name": "new", "imageRef": own["public image"], "flavorRef": "m1.tiny"}
    if version >= 37:
        server["networks"] = "none"
    key_pair = {"name": "other", "public_key": PUBLIC_KEY}
    if version >= 10:
        key_pair["user_id"] = own["user_id"]
    tenant = {"tenant": site.ours["project_id"]}
    on_server = "POST /servers/{}/action"
    service = {"status": "enabled"} if version >= 53 else {"host": "c1", "binary": "nova-compute"}
    return {
        "POST /servers": {"server": server},
        "PUT /servers/{}": {"server": {"name": "renamed"}},
        "POST /servers/{}/metadata": {"metadata": {"a": "b"}},
        "PUT /servers/{}/metadata": {"metadata": {"a": "b"}},
        "PUT /servers/{}/metadata/{}": {"meta": {"k": "w"}},
        "PUT /servers/{}/tags": {"tags": ["red"]},
        "PUT /servers/{}/tags/{}": None,
        f"{on_server}#os-stop": {"os-stop": None},
        f"{on_server}#os-start": {"os-start": None},
        f"{on_server}#reboot": {"reboot": {"type": "SOFT"}},
        f"{on_server}#lock": {"lock": None},
        f"{on_server}#unlock": {"unlock": None},
        f"{on_server}#forceDelete": {"forceDelete": None},
        f"{on_server}#os-getConsoleOutput": {"os-getConsoleOutput": {}},
        "POST /flavors": {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}},
        "PUT /flavors/{}": {"flavor": {"description": "d"}},
        "POST /flavors/{}/os-extra_specs": {"extra_specs": {"own:b": "c"}},
        "PUT /flavors/{}/os-extra_specs/{}": {"own:a": "c"},
        "POST /flavors/{}/action#addTenantAccess": {"addTenantAccess": tenant},
        "POST /flavors/{}/action#removeTenantAccess": {"removeTenantAccess": tenant},
        "POST /os-aggregates": {"aggregate": {"name": "a"}},
        "PUT /os-aggregates/{}": {"aggregate": {"name": "b"}},
        "POST /os-aggregates/{}/action#add_host": {"add_host": {"host": "c1"}},
        "POST /os-aggregates/{}/action#remove_host": {"remove_host": {"host": "c1"}},
        "POST /os-aggregates/{}/action#set_metadata": {"set_metadata": {"metadata": {"a": "b"}}},
        "POST /host-secrets": {},
        "POST /host-report-keys": {},
        "POST /os-aggregates/{}/images": {"cache": [{"id": own["public image"]}]},
        "PUT /os-hosts/{}": {"status": "enable"},
        "POST /os-keypairs": {"keypair": key_pair},
        "PUT /os-quota-sets/{}": {"quota_set": {"cores": 7}},
        "PUT /os-quota-class-sets/{}": {"quota_class_set": {"cores": 7}},
        "POST /os-server-groups": {"server_group": {"name": "g", "policy": "affinity"}},
        "PUT /os-services/{}": service,
    }


PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkWmRCyPyPHNnz4kJbYQFFZM4qvnBFNUPXl7Y5VrSNh alice"
)


def _identity_bodies(site: Site, own: Mapping[str, str], version: int) -> dict[str, Any]:
    user = {"original_password": "wrong", "password": "wrong too"}
    described = {"description": "d"}
    in_default = {"name": "new", "domain_id": "default"}
    bodies: dict[str, Any] = {
        "POST /v3/auth/tokens": {"auth": {"identity": {"methods": []}}},
        "POST /v3/users/{}/password": {"user": user},
        "PUT /v3/projects/{}/tags": {"tags": ["red"]},
        "PUT /v3/projects/{}/tags/{}": None,
        "PUT /v3/groups/{}/users/{}": None,
        "PUT /v3/roles/{}/implies/{}": None,
        "POST /v3/users/{}/application_credentials": {"application_credential": {"name": "n"}},
        "POST /v3/domains": {"domain": {"name": "new"}},
        "POST /v3/roles": {"role": {"name": "new"}},
        "PATCH /v3/domains/{}": {"domain": described},
    }
    for kind in ("project", "user", "group"):
        bodies[f"POST /v3/{kind}s"] = {kind: in_default}
        bodies[f"PATCH /v3/{kind}s/{{}}"] = {kind: described}
    bodies["PATCH /v3/roles/{}"] = {"role": described}
    for where in ("projects/{}", "domains/{}", "system"):
        for actor in ("users", "groups"):
            bodies[f"PUT /v3/{where}/{actor}/{{}}/roles/{{}}"] = None
    return bodies


def _image_bodies(site: Site, own: Mapping[str, str], version: int) -> dict[str, Any]:
    image = {"name": "new", "disk_format": "raw", "container_format": "bare"}
    return {
        "POST /v2/images": image,
        "PATCH /v2/images/{}": b'[{"op": "replace", "path": "/name", "value": "n"}]',
        "PUT /v2/images/{}/file": b"data",
        "PUT /v2/images/{}/stage": b"data",
        "POST /v2/images/{}/import": {"method": {"name": "glance-direct"}},
        "POST /v2/images/{}/actions/{}": None,
        "PUT /v2/images/{}/tags/{}": None,
        "POST /v2/images/{}/members": {"member": site.partner(own)["project_id"]},
        "PUT /v2/images/{}/members/{}": {"status": "accepted"},
    }

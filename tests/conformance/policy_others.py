"""Facts of the other services' APIs: who may use each route.

Identity, from Keystone's policy reference, in its letters. A: role admin in whatever scope. S: role
service. SR: reader on the system. DR, DM: reader, manager of the target's domain. DT, PT: a token
for that domain, that project. XM: manager of whatever domain. own: the user itself. any: every
token; scoped: every token that is for something; public: no token at all.

Image, from Glance's policy reference: visible: whoever sees the image; member, admin: that role in
the project that owns it; answer: member of the project in the path.
"""

from __future__ import annotations

from tests.conformance.inventory import Route

_IDENTITY = """
GET / public
GET /v3 public
POST /v3/auth/tokens public
GET /v3/auth/tokens A S SR own
HEAD /v3/auth/tokens A SR own
DELETE /v3/auth/tokens A own
GET /v3/auth/projects any
GET /v3/auth/domains any
GET /v3/auth/system any
GET /v3/auth/catalog scoped
GET /v3/OS-FEDERATION/projects any
GET /v3/OS-FEDERATION/domains any
GET /v3/domains A SR DR
POST /v3/domains A
GET /v3/domains/{} A SR DR DT
PATCH /v3/domains/{} A
DELETE /v3/domains/{} A
GET /v3/projects A SR DR
POST /v3/projects A DM
GET /v3/projects/{} A SR DR PT
PATCH /v3/projects/{} A DM
DELETE /v3/projects/{} A DM
GET /v3/projects/{}/tags A SR DR PT
PUT /v3/projects/{}/tags A DM
DELETE /v3/projects/{}/tags A DM
GET /v3/projects/{}/tags/{} A SR DR PT
PUT /v3/projects/{}/tags/{} A DM
DELETE /v3/projects/{}/tags/{} A DM
GET /v3/users A SR DR
POST /v3/users A DM
GET /v3/users/{} A SR DR own
PATCH /v3/users/{} A DM
DELETE /v3/users/{} A DM
POST /v3/users/{}/password public
GET /v3/users/{}/projects A SR DR own
GET /v3/users/{}/groups A SR DR own
GET /v3/users/{}/access_rules A SR own
GET /v3/users/{}/application_credentials A SR own
POST /v3/users/{}/application_credentials own
GET /v3/users/{}/application_credentials/{} A SR own
DELETE /v3/users/{}/application_credentials/{} A own
GET /v3/groups A SR DR
POST /v3/groups A DM
GET /v3/groups/{} A SR DR
PATCH /v3/groups/{} A DM
DELETE /v3/groups/{} A DM
GET /v3/groups/{}/users A SR DR
GET /v3/groups/{}/users/{} A SR DR
PUT /v3/groups/{}/users/{} A DM
DELETE /v3/groups/{}/users/{} A DM
GET /v3/roles A SR XM
POST /v3/roles A
GET /v3/roles/{} A SR XM
PATCH /v3/roles/{} A
DELETE /v3/roles/{} A
GET /v3/roles/{}/implies A SR
GET /v3/roles/{}/implies/{} A SR
PUT /v3/roles/{}/implies/{} A
DELETE /v3/roles/{}/implies/{} A
GET /v3/role_inferences A SR
GET /v3/role_assignments A SR DR
GET /v3/services A SR
GET /v3/services/{} A SR
GET /v3/endpoints A SR
GET /v3/endpoints/{} A SR
GET /v3/regions any
GET /v3/regions/{} any
GET /v3/projects/{}/users/{}/roles A SR DR
GET /v3/projects/{}/users/{}/roles/{} A SR DR
PUT /v3/projects/{}/users/{}/roles/{} A DM
DELETE /v3/projects/{}/users/{}/roles/{} A DM
GET /v3/projects/{}/groups/{}/roles A SR DR
GET /v3/projects/{}/groups/{}/roles/{} A SR DR
PUT /v3/projects/{}/groups/{}/roles/{} A DM
DELETE /v3/projects/{}/groups/{}/roles/{} A DM
GET /v3/domains/{}/users/{}/roles A SR DR
GET /v3/domains/{}/users/{}/roles/{} A SR DR
PUT /v3/domains/{}/users/{}/roles/{} A DM
DELETE /v3/domains/{}/users/{}/roles/{} A DM
GET /v3/domains/{}/groups/{}/roles A SR DR
GET /v3/domains/{}/groups/{}/roles/{} A SR DR
PUT /v3/domains/{}/groups/{}/roles/{} A DM
DELETE /v3/domains/{}/groups/{}/roles/{} A DM
GET /v3/system/users/{}/roles A SR
GET /v3/system/users/{}/roles/{} A SR
PUT /v3/system/users/{}/roles/{} A
DELETE /v3/system/users/{}/roles/{} A
GET /v3/system/groups/{}/roles A SR
GET /v3/system/groups/{}/roles/{} A SR
PUT /v3/system/groups/{}/roles/{} A
DELETE /v3/system/groups/{}/roles/{} A
"""

_IMAGE = """
GET / public
GET /versions public
GET /{} public
GET /healthcheck public
GET /v2 any
GET /v2/images any
POST /v2/images member
GET /v2/images/{} visible
PATCH /v2/images/{} member
DELETE /v2/images/{} member
GET /v2/images/{}/file visible
PUT /v2/images/{}/file member
PUT /v2/images/{}/stage member
POST /v2/images/{}/import member
GET /v2/images/{}/tasks visible
POST /v2/images/{}/actions/{} member
PUT /v2/images/{}/tags/{} member
DELETE /v2/images/{}/tags/{} member
GET /v2/images/{}/members visible
POST /v2/images/{}/members member
GET /v2/images/{}/members/{} visible
PUT /v2/images/{}/members/{} answer
DELETE /v2/images/{}/members/{} member
GET /v2/direct/{} public
GET /v2/info/import any
GET /v2/info/usage any
GET /v2/schemas/{} any
"""


def _read(mount: str, text: str) -> dict[Route, frozenset[str]]:
    table = {}
    for line in text.strip().splitlines():
        method, path, *letters = line.split()
        table[Route(f"{mount}{path}".rstrip("/"), method)] = frozenset(letters)
    return table


IDENTITY_ROUTES = _read("/identity", _IDENTITY)
IMAGE_ROUTES = _read("/image", _IMAGE)

"""What Nova had once and removed for good: 410 at every microversion.

Source: Nova's API reference, "obsolete APIs".
"""

from __future__ import annotations

import falcon

from api.compute.operation import Answer, Call, Operation

REMOVED = """
GET /os-agents
POST /os-agents
PUT /os-agents/{id}
DELETE /os-agents/{id}
GET /os-cells
POST /os-cells
GET /os-cells/capacities
GET /os-cells/detail
GET /os-cells/info
POST /os-cells/sync_instances
GET /os-cells/{id}
PUT /os-cells/{id}
DELETE /os-cells/{id}
GET /os-cells/{id}/capacities
POST /os-certificates
GET /os-certificates/{id}
GET /os-cloudpipe
POST /os-cloudpipe
PUT /os-cloudpipe/{id}
GET /os-fixed-ips/{id}
POST /os-fixed-ips/{id}/action
GET /os-floating-ip-dns
PUT /os-floating-ip-dns/{domain_id}
DELETE /os-floating-ip-dns/{domain_id}
GET /os-floating-ip-dns/{domain_id}/entries/{id}
PUT /os-floating-ip-dns/{domain_id}/entries/{id}
DELETE /os-floating-ip-dns/{domain_id}/entries/{id}
GET /os-floating-ips-bulk
POST /os-floating-ips-bulk
GET /os-floating-ips-bulk/{id}
PUT /os-floating-ips-bulk/{id}
GET /os-fping
GET /os-fping/{id}
GET /servers/{server_id}/os-virtual-interfaces
POST /os-networks
POST /os-networks/add
DELETE /os-networks/{id}
POST /os-networks/{id}/action
GET /os-security-group-default-rules
POST /os-security-group-default-rules
GET /os-security-group-default-rules/{id}
DELETE /os-security-group-default-rules/{id}
POST /os-tenant-networks
DELETE /os-tenant-networks/{id}
GET /servers/{server_id}/consoles
POST /servers/{server_id}/consoles
GET /servers/{server_id}/consoles/{id}
DELETE /servers/{server_id}/consoles/{id}
"""


def gone(call: Call) -> Answer:
    """410."""
    raise falcon.HTTPGone(description="This API is no longer available")


OPERATIONS = tuple(
    Operation(method, path, gone)
    for method, _, path in (line.partition(" ") for line in REMOVED.split("\n"))
    if method
)

"""The list of extensions: what old clients look through before they use a feature.

All of them are part of the API since 2.1; only those that this cloud serves are listed.
"""

from __future__ import annotations

from typing import Any

from api.compute.faults import not_found
from api.compute.operation import Answer, Call, Operation
from api.policy import enforce

RULE = "os_compute_api:extensions"
UPDATED = "2014-12-03T00:00:00Z"

EXTENSIONS = (
    ("OS-DCF", "DiskConfig", "How a server's disk is partitioned."),
    ("OS-EXT-AZ", "ExtendedAvailabilityZone", "A server's availability zone."),
    ("OS-EXT-SRV-ATTR", "ExtendedServerAttributes", "What admins see of a server."),
    ("OS-EXT-STS", "ExtendedStatus", "A server's states."),
    ("OS-FLV-DISABLED", "FlavorDisabled", "Whether a flavor is disabled."),
    ("OS-FLV-EXT-DATA", "FlavorExtraData", "A flavor's ephemeral disk."),
    ("OS-SCH-HNT", "SchedulerHints", "Hints to the scheduler."),
    ("OS-SRV-USG", "ServerUsage", "When a server was launched and terminated."),
    ("os-admin-actions", "AdminActions", "Actions of admins on servers."),
    ("os-aggregates", "Aggregates", "Host aggregates."),
    ("os-attach-interfaces", "AttachInterfaces", "A server's network interfaces."),
    ("os-availability-zone", "AvailabilityZone", "Availability zones."),
    ("os-config-drive", "ConfigDrive", "A drive with a server's metadata."),
    ("os-console-output", "ConsoleOutput", "What a server prints to its console."),
    ("os-consoles", "Consoles", "Consoles of servers."),
    ("os-extended-hypervisors", "ExtendedHypervisors", "A hypervisor's address."),
    ("os-extended-quotas", "ExtendedQuotas", "Quotas set by force, or reset."),
    ("os-extended-services", "ExtendedServices", "Why a service is disabled."),
    ("os-extended-services-delete", "ExtendedServicesDelete", "Deleting a service."),
    ("os-extended-volumes", "ExtendedVolumes", "The volumes of a server."),
    ("os-flavor-access", "FlavorAccess", "Flavors for some projects."),
    ("os-flavor-extra-specs", "FlavorExtraSpecs", "A flavor's extra specs."),
    ("os-flavor-manage", "FlavorManage", "Creating and deleting flavors."),
    ("os-flavor-rxtx", "FlavorRxtx", "A flavor's rxtx_factor."),
    ("os-flavor-swap", "FlavorSwap", "A flavor's swap disk."),
    ("os-hosts", "Hosts", "Compute hosts."),
    ("os-hypervisor-status", "HypervisorStatus", "A hypervisor's state and status."),
    ("os-hypervisors", "Hypervisors", "Hypervisors."),
    ("os-instance-actions", "InstanceActions", "What was done to a server."),
    ("os-keypairs", "Keypairs", "Key pairs."),
    ("os-lock-server", "LockServer", "Locking a server."),
    ("os-migrations", "Migrations", "Migrations of servers."),
    ("os-multiple-create", "MultipleCreate", "Several servers by one request."),
    ("os-quota-class-sets", "QuotaClasses", "Default quotas."),
    ("os-quota-sets", "Quotas", "Quotas of projects."),
    ("os-server-groups", "ServerGroups", "Server groups."),
    ("os-server-list-multi-status", "ServerListMultiStatus", "Servers in one of some statuses."),
    ("os-server-sort-keys", "ServerSortKeys", "Servers in any order."),
    ("os-server-start-stop", "ServerStartStop", "Starting and stopping servers."),
    ("os-services", "Services", "Services of the cloud."),
    ("os-simple-tenant-usage", "SimpleTenantUsage", "What projects have used."),
    ("os-used-limits", "UsedLimits", "What is used of the limits."),
    ("os-used-limits-for-admin", "UsedLimitsForAdmin", "Another project's limits."),
    ("os-user-data", "UserData", "Data for a server's first boot."),
)
"""Alias, name, description."""


def _view(alias: str, name: str, description: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "namespace": "",
        "updated": UPDATED,
        "links": [],
    }


VIEWS = {alias: _view(alias, name, description) for alias, name, description in EXTENSIONS}


def index(call: Call) -> Answer:
    """All of them."""
    enforce(call.caller, RULE)
    return Answer({"extensions": list(VIEWS.values())})


def show(call: Call) -> Answer:
    """One, by its alias."""
    enforce(call.caller, RULE)
    view = VIEWS.get(call.params["alias"])
    if view is None:
        raise not_found()
    return Answer({"extension": view})


OPERATIONS = (
    Operation("GET", "/extensions", index),
    Operation("GET", "/extensions/{alias}", show),
)

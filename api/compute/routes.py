"""All operations of the compute API. A new resource file is one more name here."""

from __future__ import annotations

from collections.abc import Iterable

from api.compute import (
    actions,
    addresses,
    aggregates,
    attachments,
    availability_zones,
    create,
    extensions,
    flavors,
    gone,
    hosts,
    hypervisors,
    instance_actions,
    key_pairs,
    listing,
    metadata,
    migrations,
    quotas,
    server_groups,
    servers,
    services,
    tags,
    usage,
    versions,
)
from api.compute.host_report_keys import HostReportKeys
from api.compute.host_secrets import HostSecrets
from api.compute.operation import Operation, resources
from api.services import Services

FILES = (
    actions,
    addresses,
    aggregates,
    attachments,
    availability_zones,
    create,
    extensions,
    flavors,
    gone,
    hosts,
    hypervisors,
    instance_actions,
    key_pairs,
    listing,
    metadata,
    migrations,
    quotas,
    server_groups,
    servers,
    services,
    tags,
    usage,
)


def operations() -> Iterable[Operation]:
    """Every row of every file."""
    for file in FILES:
        yield from file.OPERATIONS


def routes(services: Services) -> Iterable[tuple[str, object]]:
    """Paths relative to ``/compute``, each with its resource."""
    yield from versions.routes(services)
    yield "/v2.1/host-secrets", HostSecrets(services)
    yield "/v2.1/host-report-keys", HostReportKeys(services)
    yield from resources(services, operations())

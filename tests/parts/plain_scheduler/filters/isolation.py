"""Filters that keep hosts for certain images, flavors or projects."""

from __future__ import annotations

from collections.abc import Iterable

from events.fleet.host import Host
from tests.parts.plain_scheduler.judges import Question, as_filter

TENANT_KEY = "filter_tenant_id"
FLAVOR_KEY = "instance_type"


@as_filter("IsolatedHostsFilter", once=True)
def isolated_hosts(hosts: list[Host], question: Question) -> list[Host]:
    """Isolated images only on isolated hosts, and (if restricted) nothing else on those."""
    policy = question.policy
    if not policy.isolated_hosts:
        return [] if question.spec.image_id in policy.isolated_images else hosts
    if question.spec.image_id in policy.isolated_images:
        return [h for h in hosts if h.host in policy.isolated_hosts]
    if policy.restrict_isolated_hosts_to_isolated_images:
        return [h for h in hosts if h.host not in policy.isolated_hosts]
    return hosts


@as_filter("AggregateImagePropertiesIsolation", once=True)
def aggregate_image_properties_isolation(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts whose aggregates' metadata agrees with each image property that both have."""
    policy = question.policy
    namespace = policy.aggregate_image_properties_isolation_namespace
    prefix = f"{namespace}{policy.aggregate_image_properties_isolation_separator}"
    wanted = {
        key: value
        for key, value in question.spec.image_properties.items()
        if not namespace or key.startswith(prefix)
    }

    def agrees(host: Host) -> bool:
        return all(
            value in _listed(values)
            for key, value in wanted.items()
            if (values := question.metadata_values(host.host, key))
        )

    return [h for h in hosts if agrees(h)]


@as_filter("AggregateMultiTenancyIsolation", once=True)
def aggregate_multi_tenancy_isolation(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts whose aggregates are kept for nobody, or for this project among others."""

    def open_to(host: Host) -> bool:
        listed: set[str] = set()
        for aggregate in question.aggregates_of.get(host.host, ()):
            listed |= _listed(
                value for key, value in aggregate.metadata.items() if key.startswith(TENANT_KEY)
            )
        return not listed or question.project_id in listed

    return [h for h in hosts if open_to(h)]


@as_filter("AggregateTypeAffinityFilter", once=True)
def aggregate_type_affinity(hosts: list[Host], question: Question) -> list[Host]:
    """Hosts whose aggregates' ``instance_type`` lists the flavor, or that have no such key."""

    def wants(host: Host) -> bool:
        listed = _listed(question.metadata_values(host.host, FLAVOR_KEY))
        return not listed or question.spec.flavor_name in listed

    return [h for h in hosts if wants(h)]


def _listed(values: Iterable[str]) -> set[str]:
    return {word.strip() for value in values for word in value.split(",")}

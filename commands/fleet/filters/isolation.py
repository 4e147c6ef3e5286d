"""Filters that keep hosts for certain images, flavors or projects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from commands.fleet.judges import Question, as_filter
from events.fleet.host import Host

if TYPE_CHECKING:
    from commands.fleet.candidates import Candidates

TENANT_KEY = "filter_tenant_id"
FLAVOR_KEY = "instance_type"


@as_filter("IsolatedHostsFilter", once=True)
def isolated_hosts(candidates: Candidates, question: Question) -> Candidates:
    """Isolated images only on isolated hosts, and (if restricted) nothing else on those."""
    policy = question.policy
    if not policy.isolated_hosts:
        isolated = question.spec.image_id in policy.isolated_images
        return candidates.none() if isolated else candidates
    if question.spec.image_id in policy.isolated_images:
        return candidates.only(policy.isolated_hosts)
    if policy.restrict_isolated_hosts_to_isolated_images:
        return candidates.without(policy.isolated_hosts)
    return candidates


@as_filter("AggregateImagePropertiesIsolation", once=True)
def aggregate_image_properties_isolation(candidates: Candidates, question: Question) -> Candidates:
    """Hosts whose aggregates' metadata agrees with each image property that both have."""
    policy = question.policy
    namespace = policy.aggregate_image_properties_isolation_namespace
    prefix = f"{namespace}{policy.aggregate_image_properties_isolation_separator}"
    properties = question.spec.image_properties

    def agrees(host: Host) -> bool:
        # By the keys of the operator's aggregates: a user may give an image any number of them.
        keys = {key for aggregate in question.aggregates_of(host) for key in aggregate.metadata}
        return all(
            properties[key] in _listed(question.metadata_values(host, key))
            for key in keys
            if key in properties and (not namespace or key.startswith(prefix))
        )

    return candidates.by_aggregates(agrees)


@as_filter("AggregateMultiTenancyIsolation", once=True)
def aggregate_multi_tenancy_isolation(candidates: Candidates, question: Question) -> Candidates:
    """Hosts whose aggregates are kept for nobody, or for this project among others."""

    def open_to(host: Host) -> bool:
        listed: set[str] = set()
        for aggregate in question.aggregates_of(host):
            listed |= _listed(
                value for key, value in aggregate.metadata.items() if key.startswith(TENANT_KEY)
            )
        return not listed or question.project_id in listed

    return candidates.by_aggregates(open_to)


@as_filter("AggregateTypeAffinityFilter", once=True)
def aggregate_type_affinity(candidates: Candidates, question: Question) -> Candidates:
    """Hosts whose aggregates' ``instance_type`` lists the flavor, or that have no such key."""

    def wants(host: Host) -> bool:
        listed = _listed(question.metadata_values(host, FLAVOR_KEY))
        return not listed or question.spec.flavor_name in listed

    return candidates.by_aggregates(wants)


def _listed(values: Iterable[str]) -> set[str]:
    return {word.strip() for value in values for word in value.split(",")}

"""What is asked of the scheduler for one kind of server: the request spec.

It carries every fact about the server that a filter or weigher may judge by, so that a decision
depends on nothing but the spec, the seed and the fleet's own state, and can be run again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from events.message import Amount, Large, UserId

DEFAULT_ZONE = "nova"
"""The availability zone of hosts that no aggregate gives one (default_availability_zone)."""

SHARD = "default"
"""The only shard; later there is one for each cell. Key of all fleet commands."""

Shard = Annotated[str, "Name of the fleet's shard, whose one writer decides all claims in it."]


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The server group that the servers belong to."""

    policy: Annotated[str, "affinity, anti-affinity, soft-affinity or soft-anti-affinity."]
    max_server_per_host: Annotated[Amount, "Members that anti-affinity allows on one host."] = 1
    members: Annotated[list[str], "UUIDs of the group's servers, these ones among them."] = []


class RequestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What each server of a request needs."""

    vcpus: Annotated[Amount, "Virtual CPUs."]
    ram_mib: Annotated[Amount, "Memory in MiB."]
    disk_gib: Annotated[Large, "Root + ephemeral + swap (rounded up), in GiB."]
    flavor_name: Annotated[str, "Name of the flavor."]
    extra_specs: Annotated[dict[str, str], "The flavor's extra specs."] = {}
    image_id: Annotated[str | None, "UUID of the image; null without one."] = None
    image_properties: Annotated[dict[str, str], "The image's properties."] = {}
    user_id: UserId
    availability_zone: Annotated[str | None, "Zone asked for; null for any."] = None
    requested_host: Annotated[str | None, "Host asked for; null for any."] = None
    forced: Annotated[bool, "Skip the filters on the requested host; capacity still counts."] = (
        False
    )
    scheduler_hints: Annotated[dict[str, list[str]], "The request's scheduler hints."] = {}
    group: Annotated[GroupSpec | None, "The servers' group; null without one."] = None


class Resources(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Amounts of each resource class, as placement counts them."""

    vcpus: Annotated[Amount, "VCPU."]
    ram_mib: Annotated[Amount, "MEMORY_MB."]
    disk_gib: Annotated[Large, "DISK_GB."]
    others: Annotated[dict[str, int], "Amounts of other classes, e.g. PCPU, by class."] = {}

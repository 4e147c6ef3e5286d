"""A server: its state, its facts, and the fold of them.

``state.py`` what is known of a server, ``facts.py`` what can have happened to it,
``evolve.py`` how a fact changes what is known. Nova's three state values and their meaning:
https://docs.openstack.org/nova/latest/reference/vm-states.html
"""

from events.aggregate import Aggregate, register
from events.compute.server.evolve import evolve
from events.compute.server.overdue import overdue
from events.compute.server.state import Fault, ImageSnapshot, PublicKey, SecretsRef, Server

register(
    Aggregate(
        "server",
        "compute",
        Server,
        evolve,
        gone=lambda server: server.vm_state == "deleted",
        deadline=lambda server: server.deadline,
        overdue=overdue,
        shared=(
            "project_id",
            "user_id",
            "name",
            "hostname",
            "flavor",
            "image",
            "metadata",
            "tags",
            "public_key",
            "secrets",
            "requested_zone",
            "requested_host",
            "scheduler_hints",
            "networks",
            "security_groups",
            "disk_config",
            "reservation_id",
            "vm_state",
            "task_state",
            "host",
            "node",
            "availability_zone",
            "alternates",
            "failed_hosts",
        ),
    )
)

__all__ = ["Fault", "ImageSnapshot", "PublicKey", "SecretsRef", "Server", "evolve"]

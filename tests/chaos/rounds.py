"""What every run of chaos begins with."""

from __future__ import annotations

from tests.bench.sites import Site
from tests.chaos.check import all_servers


def prepare(running: Site) -> None:
    """Room for the load: small servers, a quota that is sometimes reached."""
    running.boot("admin", 0)
    admin = running.client()
    for project in admin.call("GET", "/identity/v3/projects")["projects"]:
        quota = {"quota_set": {"instances": 15, "cores": -1, "ram": -1, "force": True}}
        admin.call("PUT", f"/compute/v2.1/os-quota-sets/{project['id']}", quota)


def clear(running: Site) -> None:
    """Delete what earlier rounds left."""
    client = running.client()
    for server in all_servers(client):
        client.call("DELETE", f"/compute/v2.1/servers/{server['id']}")

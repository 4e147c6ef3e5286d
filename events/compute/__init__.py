"""Compute's facts: servers, projects' quotas, key pairs, flavors, guests that nobody knows."""

from events.compute import departed, flavor, key_pair, project, retries, server, unknown_guest

__all__ = ["departed", "flavor", "key_pair", "project", "retries", "server", "unknown_guest"]

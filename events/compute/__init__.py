"""Compute's facts: servers, projects' quotas, key pairs, flavors."""

from events.compute import flavor, key_pair, project, retries, server

__all__ = ["flavor", "key_pair", "project", "retries", "server"]

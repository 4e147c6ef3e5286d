"""The weighers. Importing the package registers them all."""

from tests.parts.plain_scheduler.weighers import groups, hypervisor, resources

__all__ = ["groups", "hypervisor", "resources"]

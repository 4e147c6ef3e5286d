"""The weighers. Importing the package registers them all."""

from commands.fleet.weighers import groups, hypervisor, resources

__all__ = ["groups", "hypervisor", "resources"]

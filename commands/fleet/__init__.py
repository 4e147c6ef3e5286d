"""What can be asked of the fleet, and the scheduler's judgement."""

from commands.fleet import aggregate, filters, host, ping, place, service, weighers

__all__ = ["aggregate", "filters", "host", "ping", "place", "service", "weighers"]

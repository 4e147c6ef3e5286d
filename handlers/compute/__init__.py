"""The compute host agent and the drivers beneath it."""

from handlers.compute import boot, delete, power, reboot

__all__ = ["boot", "delete", "power", "reboot"]

"""The shell around it all: CLI, settings, start-up. Wires the rooms, is imported by none."""

__version__ = "0.1.0"

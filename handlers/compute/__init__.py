"""The compute host agent and the drivers beneath it."""

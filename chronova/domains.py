"""Importing the domains, for what they register: messages, deciders, reactions, projections."""

from __future__ import annotations

from importlib import import_module

from events.topics import DOMAINS


def load_messages() -> None:
    """Every message and aggregate, also those of no domain."""
    import_module("events.journal")
    import_module("events.outcome")
    for domain in DOMAINS:
        import_module(f"events.{domain}")
        import_module(f"commands.{domain}")


def load_handlers() -> None:
    """Every decider and reaction."""
    load_messages()
    import_module("handlers.reactions")


def load_projections() -> None:
    """Every message, aggregate and projected table."""
    load_messages()
    for domain in DOMAINS:
        import_module(f"projections.{domain}")

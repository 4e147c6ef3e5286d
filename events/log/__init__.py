"""The log: its contract (``contract``) and the ways to it."""

from __future__ import annotations

from typing import Any

from events.log.contract import Log


def open_log(url: str, **options: Any) -> Log:
    """The log at ``url``; ``options`` are its implementation's.

    ``postgresql://…`` (or ``postgres://…``), ``kafka://host:port[,host:port…]``, or ``memory:``
    (which needs ``now``, a clock). Raises ``ValueError`` for anything else. Nothing is connected
    to yet. Each implementation is imported only when asked for.
    """
    scheme, _, rest = url.partition(":")
    if scheme in ("postgresql", "postgres"):
        from events.log.postgres import PostgresLog

        return PostgresLog(url, **options)
    if scheme == "kafka":
        bootstrap = rest.removeprefix("//").rstrip("/")
        if not bootstrap or not rest.startswith("//"):
            raise ValueError(f"a Kafka log needs kafka://host:port[,host:port...], not {url!r}")
        from events.log.kafka import KafkaLog

        return KafkaLog(bootstrap, **options)
    if scheme == "memory" and not rest:
        from events.log.memory import MemoryLog

        return MemoryLog(**options)
    raise ValueError(
        f"no log is known by {scheme or url!r}: give postgresql://..., kafka://host:port or memory:"
    )

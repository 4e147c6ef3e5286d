"""The real parts that tests share: each is started once, when the first test asks for it.

A test that uses one is marked ``service``: ``pytest -m 'not service'`` needs nothing but Python.
"""

from __future__ import annotations

import gc
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from events.features import PROCESS, Reached
from events.host_proof import SITE
from schemas.catalog import catalog

if TYPE_CHECKING:
    from tests.parts.broker import Broker
    from tests.parts.postgres import PostgresServer

SERVICES = frozenset({"database", "broker", "libvirt_uri"})
"""Fixtures that start something."""

KINDS = frozenset({"postgres", "kafka", "libvirt"})
"""Parameters of fixtures that run a test on one implementation after the other, and start it."""

STARTING = ("chronova.embedded", "chronova.demo_image", "chronova.supervisor", "tests.parts.site")
"""Modules that start programs or take packages: who imports one does so without these fixtures."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a service."""
    for item in items:
        if _asks(item) or _starts(item):
            item.add_marker(pytest.mark.service)


def _asks(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    kinds = [value for value in call.params.values() if isinstance(value, str)] if call else []
    fixtures = getattr(item, "fixturenames", ())
    return not SERVICES.isdisjoint(fixtures) or not KINDS.isdisjoint(kinds)


def _starts(item: pytest.Item) -> bool:
    module = getattr(item, "module", None)
    return any(_origin(value).startswith(STARTING) for value in vars(module or item).values())


def _origin(value: object) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return name if isinstance(name, str) else ""


@pytest.fixture(autouse=True)
def no_log_of_an_earlier_test() -> Iterator[None]:
    """What a test opened is gone after it: nothing is looked up there any more."""
    yield
    _forget_logs()


@pytest.fixture(scope="session")
def database() -> Iterator[PostgresServer]:
    """A Postgres server: ``url``, ``stop()``, ``start()``, ``kill()``."""
    from tests.parts.postgres import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A Kafka broker: ``bootstrap``, ``stop()``, ``start()``, ``kill()``."""
    from tests.parts.broker import kafka_broker

    with ExitStack() as stack:
        with _unheard_refusals():
            running = stack.enter_context(kafka_broker())
        yield running


@contextmanager
def _unheard_refusals() -> Iterator[None]:
    """kafka-python 3.0.12 leaves a socket open for each connection that is refused while the broker
    comes up (kafka/net/inet.py): let them be collected here, not in a test. The tracebacks
    that it logs would hold them, as pytest keeps a test's log."""
    log = logging.getLogger("kafka")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            yield
            gc.collect()
    finally:
        log.setLevel(before)


@pytest.fixture(autouse=True, scope="module")
def no_schemas_of_another_log() -> Iterator[None]:
    """A module that opens a site's log leaves the process looking for schemas there, and for the
    feature level."""
    yield
    _forget_logs()


def _forget_logs() -> None:
    PROCESS.look_up, PROCESS.reached = None, Reached()
    SITE.forget()
    catalog().look_up = None


@pytest.fixture(autouse=True, scope="module")
def nobody_left_behind() -> Iterator[None]:
    """A module closes the readers and workers that it made. A forgotten one goes on in its thread,
    and where it uses the global ``random`` it fails whatever Hypothesis does meanwhile."""
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert not [name for name in left if re.search("-(reader|worker|member)-", name)], left

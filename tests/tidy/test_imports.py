"""Which way things may know each other, and where each outside library is known.

schemas ← events ← commands ← handlers
              ↑        ↑
         projections ← api            chronova wires them and is imported by none
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy.tree import ROOMS, ROOT, Use, files, imports, lies_in, top

KNOWS: dict[str, set[str]] = {
    "schemas": set(),
    "events": {"schemas"},
    "commands": {"events"},
    "handlers": {"schemas", "events", "commands"},
    "projections": {"schemas", "events", "commands"},
    "api": {"schemas", "events", "commands", "projections"},
    "chronova": {"schemas", "events", "commands", "handlers", "projections", "api"},
}

TOOLS = ("schemas/commit.py", "schemas/compatibility.py")
"""Programs over the message classes: nothing that runs a cloud imports them but the registry."""

PLACES: dict[str, tuple[str, ...]] = {
    "argon2": ("api/identity/passwords.py",),
    "avro": ("schemas/compatibility.py",),
    "cryptography": ("api/", "chronova/"),
    "falcon": ("api/",),
    "fastavro": ("schemas/catalog.py", "events/log/records.py"),
    "gunicorn": ("chronova/roles/api.py", "chronova/roles/api_worker.py", "api/image/receiving.py"),
    "immutables": ("events/",),
    "jsonschema_rs": ("api/",),
    "kafka": ("events/log/kafka",),
    "libvirt": ("handlers/compute/drivers/libvirt_",),
    "limits": ("api/http/rates.py",),
    "lxml": ("handlers/compute/drivers/",),
    "msgspec": ("",),
    "numpy": tuple(f"commands/fleet/{file}.py" for file in ("table", "candidates", "ranking")),
    "orjson": ("api/", "projections/"),
    "os_resource_classes": ("api/placement/names.py",),
    "os_traits": ("api/placement/names.py",),
    "oslo_utils": ("api/image/inspection.py",),
    "packaging": ("chronova/",),
    "prometheus_client": ("api/", "chronova/"),
    "psutil": ("chronova/",),
    "psycopg2": ("events/log/postgres", "projections/", "chronova/failures.py"),
    "pycdlib": ("handlers/compute/drivers/config_drive.py",),
    "rich": ("chronova/",),
    "setproctitle": ("chronova/",),
    "sqlalchemy": ("projections/", "api/", "chronova/"),
    "structlog": ("handlers/", "projections/", "api/", "chronova/"),
    "typer": ("chronova/",),
    "yaml": ("chronova/",),
}
"""Outside libraries and the places that may import them; ``""`` is everywhere."""

QUERIES = {"select", "text", "insert", "update", "delete", "or_", "and_", "func", "table", "column"}
"""Names of SQLAlchemy that make SQL: outside the projections only its types may be named."""

QUERYING = (
    "projections/",
    "api/compute/fleet.py",
    "api/health/parts.py",
    "chronova/inspect/story.py",
)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    wrong = [
        str(use)
        for file in files(room)
        if file not in TOOLS
        for use in imports(file)
        if top(use.name) in {*ROOMS, "tests"} - KNOWS[room] - {room}
    ]
    assert wrong == []


def test_the_tools_know_the_messages_only() -> None:
    wrong = [
        str(use)
        for file in TOOLS
        for use in imports(file)
        if top(use.name) in set(ROOMS) - {"schemas"} and not use.name.startswith("events.message.")
    ]
    assert wrong == []


def test_the_log_is_known_by_its_contract() -> None:
    """Nobody but the log itself names one of its implementations."""
    kinds = ("events.log.kafka", "events.log.postgres", "events.log.memory")
    wrong = [
        str(use)
        for file in files(*ROOMS)
        if not lies_in(file, ("events/log/", "chronova/"))
        for use in imports(file)
        if use.name.startswith(kinds)
    ]
    assert wrong == []


def test_outside_libraries_have_their_places() -> None:
    wrong = [str(use) for use in _outside() if not lies_in(use.file, PLACES.get(top(use.name), ()))]
    assert wrong == []


def test_no_place_is_kept_for_nothing() -> None:
    """A library that nobody imports any more leaves the table (and pyproject.toml)."""
    used = {top(use.name) for use in _outside()}
    awaited = {"prometheus_client", "yaml"}
    assert set(PLACES) - used - awaited == set()


def test_each_library_is_a_declared_dependency() -> None:
    """What another library happens to bring may be gone with its next release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["libvirt"], *extras["test"]]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    # libvirt is an extra, and may not be installed.
    brought = {"libvirt": ["libvirt-python"], **packages_distributions()}
    undeclared = {
        str(use)
        for use in _outside()
        if not declared & {canonicalize_name(name) for name in brought.get(top(use.name), ())}
    }
    assert undeclared == set()


def test_sql_is_made_by_the_projections() -> None:
    wrong = [
        str(use)
        for use in _outside()
        if top(use.name) == "sqlalchemy"
        and use.name.rpartition(".")[2] in QUERIES
        and not lies_in(use.file, QUERYING)
    ]
    assert wrong == []


def _outside() -> list[Use]:
    known = {*ROOMS, *sys.stdlib_module_names}
    return [use for file in files(*ROOMS) for use in imports(file) if top(use.name) not in known]

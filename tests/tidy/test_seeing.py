"""The tidy tests see what they forbid, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy.test_purity import IMPURE_CALLS, harmless, seeded
from tests.tidy.test_tree import LATER
from tests.tidy.tree import Use, calls, imports

SOURCE = """
from __future__ import annotations
import time as clock, os.path
from datetime import datetime
from random import Random

def run() -> None:
    from handlers.decider import Decider
    if clock:
        import projections.live
    importlib.import_module("api.app")
    import_module(f"handlers.{clock}")
    open("/etc/passwd").read()
    Random()
    Random(5)
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "planted.py"
    path.write_text(SOURCE)
    return str(path)


def test_imports(file: str) -> None:
    assert [use.name for use in sorted(imports(file), key=lambda use: use.line)] == [
        "__future__.annotations",
        "time",
        "os.path",
        "datetime.datetime",
        "random.Random",
        "handlers.decider.Decider",
        "projections.live",
        "api.app",
        "handlers.",
    ]


def test_calls(file: str) -> None:
    impure = [use for use in calls(file) if use.name in IMPURE_CALLS]
    assert [(use.name, seeded(file, use)) for use in sorted(impure, key=lambda use: use.line)] == [
        ("open", False),
        ("Random", False),
        ("Random", True),
    ]


@pytest.mark.parametrize(
    ("file", "name", "allowed"),
    [
        ("commands/compute/boot.py", "time", False),
        ("commands/compute/boot.py", "random.Random", False),
        ("commands/fleet/ranking.py", "random.Random", True),
        ("commands/fleet/ranking.py", "random.random", False),
        ("commands/fleet/ranking.py", "hashlib", True),
        ("events/compute/flavor.py", "hashlib.sha256", False),
        ("events/compute/flavor.py", "logging", False),
        ("events/compute/flavor.py", "events.message.Event", True),
    ],
)
def test_purity(file: str, name: str, allowed: bool) -> None:
    assert harmless(Use(file, 1, name)) is allowed


def test_what_is_left_for_later() -> None:
    assert LATER.search("x = 1  # TODO: more")
    assert LATER.search("    raise NotImplementedError")
    assert not LATER.search("mastodon")

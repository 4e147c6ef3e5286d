"""A second version of Chronova: a copy of the code in which every record has a field more, and
which knows a feature level more (``tests.chaos.feature``).

To this version the copy is tomorrow's; to the copy this version is yesterday's, with a field of
each command, fact, work, reply and heartbeat removed, and some types. So all that one of them
writes has a schema that the other does not carry.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import shutil
import subprocess
import sys
import types
import typing
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from events.aggregate import AGGREGATES
from events.message import MESSAGES
from schemas.commit import import_messages
from tests.chaos.feature import add_feature
from tests.tidy.tree import ROOMS, ROOT

FIELD = "tomorrow"
LINE = f'    {FIELD}: str = "as tomorrow\'s version writes it"\n'


class Version(msgspec.Struct, frozen=True):
    """A version of the code: where it lies, and what its programs need to be run."""

    folder: Path
    more: tuple[Path, ...] = ()
    """Where else its programs are found."""

    @property
    def environment(self) -> dict[str, str]:
        """Without anything that the tests were told."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "CHRONOVA_"))}
        path = os.pathsep.join(map(str, (self.folder, *self.more)))
        return own | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}

    def run(self, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        """Run a program of this version (``python`` and ``arguments``) to its end; its output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment | dict(more or {}),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def today() -> Version:
    """This tree."""
    return Version(ROOT)


def tomorrow(folder: Path) -> Version:
    """The copy, made in ``folder``; its schemas are committed after those of this tree."""
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    places = defaultdict(set)
    for cls in _records():
        places[Path(inspect.getfile(cls)).relative_to(ROOT)].add(cls.__name__)
    for file, names in places.items():
        _add_field(folder / file, names)
    add_feature(folder)
    made = Version(folder)
    assert made.run("-m", "schemas.commit").count("/2") >= len(MESSAGES)
    return made


def _records() -> set[type[msgspec.Struct]]:
    """Every message's class and those of the structures in it, but what states hold: with other
    states the tables' version would be another, and roles that show them have an order then."""
    for role in ("decider", "projector", "agent", "api"):
        importlib.import_module(f"chronova.roles.{role}")
    import_messages()
    found: set[type[msgspec.Struct]] = set()
    for cls in list(MESSAGES.values()):
        if not cls.__module__.startswith("tests."):
            _collect(cls, found)
    held: set[type[msgspec.Struct]] = set()
    for aggregate in AGGREGATES.values():
        _collect(aggregate.state, held)
    return found - held


def _collect(hint: object, found: set[type[msgspec.Struct]]) -> None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if hint not in found:
            found.add(hint)
            for inner in typing.get_type_hints(hint, include_extras=True).values():
                _collect(inner, found)
        return
    if isinstance(hint, types.GenericAlias | types.UnionType) or typing.get_origin(hint):
        for inner in typing.get_args(hint):
            _collect(inner, found)


def _add_field(file: Path, names: set[str]) -> None:
    lines = file.read_text().splitlines(keepends=True)
    for end in sorted(_ends(file, names), reverse=True):
        lines.insert(end, LINE)
    file.write_text("".join(lines))


def _ends(file: Path, names: set[str]) -> Iterator[int]:
    """The last lines of these classes."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name in names:
            assert node.end_lineno is not None
            yield node.end_lineno

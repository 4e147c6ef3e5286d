"""The tree as the tidy tests see it: files, what they import, what they call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "events", "commands", "handlers", "projections", "api", "chronova")
"""The packages that are installed."""


class Use(msgspec.Struct, frozen=True):
    """A name that a file imports or calls, with its line."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}"


@cache
def files(*folders: str) -> tuple[str, ...]:
    """The Python files in these folders, relative to the root, in order."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(sorted(str(path.relative_to(ROOT)) for path in found))


@cache
def text(file: str) -> str:
    return (ROOT / file).read_text()


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse(text(file), file)


def imports(file: str) -> Iterator[Use]:
    """Every module that ``file`` names in an import, wherever it stands, and by
    ``import_module("…")``. ``from a import b`` is ``a.b``."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Use(file, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            for alias in node.names:
                yield Use(file, node.lineno, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            yield Use(file, node.lineno, name)


def _imported_by_call(call: ast.Call) -> str:
    """The constant text that the name given to ``import_module`` begins with."""
    if not dotted(call.func).endswith("import_module"):
        return ""
    node = call.args[0]
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def calls(file: str) -> Iterator[Use]:
    """Every call of a plain or dotted name."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            yield Use(file, node.lineno, name)


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a name or attribute, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def top(name: str) -> str:
    """The top-level package of a dotted name."""
    return name.partition(".")[0]


@cache
def defined(file: str) -> frozenset[str]:
    """Return what a module defines at its top level, and the members of its classes as
    ``Class.member``."""
    names = set()
    for node in parsed(file).body:
        for name in _bound(node):
            names.add(name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for inner in node.body for name in _bound(inner)}
    return frozenset(names)


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def lies_in(file: str, places: tuple[str, ...]) -> bool:
    """Whether a file's path begins with one of ``places``."""
    return file.startswith(places)

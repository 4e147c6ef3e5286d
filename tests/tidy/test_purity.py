"""What is decided and folded depends on nothing but its arguments.

``commands/`` and ``events/<domain>/`` import no module that does I/O or knows the time, and of the
standard library only what is listed: time, ids and seeds come with the command.
"""

from __future__ import annotations

import ast

from events.topics import DOMAINS
from tests.tidy.tree import Use, calls, dotted, files, imports, lies_in, parsed, top

PURE = files("commands", *(f"events/{domain}" for domain in DOMAINS))

HARMLESS = {
    "__future__",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "immutables",
    "ipaddress",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "re",
    "string",
    "types",
    "typing",
    "unicodedata",
    "events",
    "commands",
}

ALLOWED: dict[str, tuple[str, ...]] = {
    # A seed that comes with the command decides: the same seed, the same choice.
    "random.Random": ("commands/fleet/",),
    "hashlib": ("commands/fleet/", "commands/image/direct_url.py"),
    "hmac": ("commands/image/direct_url.py",),
    "urllib.parse": ("commands/image/direct_url.py",),
    # Arithmetic on columns of hosts: exact, and the same on every machine.
    "numpy": ("commands/fleet/",),
    "numpy.typing": ("commands/fleet/",),
    # Each room imports all its files, so that they register what they define.
    "importlib": ("commands/compute/__init__.py",),
    "pkgutil": ("commands/compute/__init__.py",),
}

IMPURE_CALLS = {
    "open",
    "print",
    "input",
    "exec",
    "eval",
    "compile",
    "id",
    "hash",
    "globals",
    "breakpoint",
    "Random",
}


def test_it_imports_nothing_impure() -> None:
    wrong = [str(use) for file in PURE for use in imports(file) if not harmless(use)]
    assert wrong == []


def test_it_calls_nothing_impure() -> None:
    wrong = [
        str(use)
        for file in PURE
        for use in calls(file)
        if use.name in IMPURE_CALLS and not (use.name == "Random" and seeded(file, use))
    ]
    assert wrong == []


def test_it_changes_no_global() -> None:
    changing = [
        f"{file}:{node.lineno}"
        for file in PURE
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Global)
    ]
    assert changing == []


def test_the_log_is_unknown_to_what_is_pure() -> None:
    assert [
        str(use) for file in PURE for use in imports(file) if use.name.startswith("events.log")
    ] == []


def harmless(use: Use) -> bool:
    if top(use.name) in HARMLESS:
        return True
    return any(
        (use.name == name or use.name.startswith(f"{name}.")) and lies_in(use.file, places)
        for name, places in ALLOWED.items()
    )


def seeded(file: str, use: Use) -> bool:
    """``Random(seed)``: with no argument it would seed itself."""
    return any(
        isinstance(node, ast.Call) and dotted(node.func) == "Random" and bool(node.args)
        for node in ast.walk(parsed(file))
        if getattr(node, "lineno", 0) == use.line
    )


def test_no_decision_reads_all_states() -> None:
    """It would take longer the more there are; ``commands.lookup`` finds them by an index."""
    read = [str(use) for file in PURE for use in calls(file) if use.name.endswith("view.all")]
    assert read == []

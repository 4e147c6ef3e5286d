"""Each claim of docs/security.md names its test, and each of those tests exists."""

from __future__ import annotations

import ast
import re

from tests.tidy.tree import ROOT, parsed

DOCUMENT = "docs/security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
EXCUSED = ("*untested*", "none is claimed", "(that is what it is for)")
ADVERSARIES = ("anonymous", "member", "reader", "admin", "stolen host", "machine", "stolen backup")


def lines() -> list[str]:
    return (ROOT / DOCUMENT).read_text().splitlines()


def test_every_named_test_exists() -> None:
    named = NAMED.findall("\n".join(lines()))
    assert named
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).exists() or name not in of(file)
    ]
    assert missing == []


def of(file: str) -> set[str]:
    """The names of the tests in a file."""
    return {
        node.name
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_claim_names_a_test_or_says_that_there_is_none() -> None:
    rows = [line for line in lines() if line.startswith("| ")]
    bare = [row for row in rows if not NAMED.search(row) and not any(e in row for e in EXCUSED)]
    assert [row for row in bare if row != "| it | shown by |"] == []


def test_every_adversary_has_a_part() -> None:
    headings = " ".join(line for line in lines() if line.startswith("## "))
    assert [one for one in ADVERSARIES if one not in headings] == []

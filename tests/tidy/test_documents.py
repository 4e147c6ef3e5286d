"""The documents: every one is in an index, and what they link to or name is there.

Source files, their functions and tests are named in backticks by full path: ``a/b.py``,
``a/b.py::name``, ``a/b.py::Class.method``, ``tests/a/test_b.py::test_c``, ``a/``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.test_security import NAMED, of
from tests.tidy.tree import ROOMS, ROOT, defined

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([\w-]*))?\)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
INDEX = ROOT / "docs" / "README.md"
DECISIONS = ROOT / "docs" / "decisions"
DECISION_LINES_MAX = 40

SOURCE = re.compile(r"`([\w./<>-]+\.py)(?:::([\w.]+))?`")
TOPS = "|".join((*ROOMS, "tests", "scripts", "docs", "deploy"))
FOLDER = re.compile(rf"`((?:{TOPS})/(?:[\w./-]*/)?)`")
EXAMPLE = "pause"
"""The operation that CONTRIBUTING.md adds: its files need not be there."""


def names(document: Path) -> str:
    """Return how a document is shown: its path."""
    return str(document.relative_to(ROOT))


def linked_from(index: Path) -> set[Path]:
    """Return the documents that an index links to."""
    targets = {target for target, _ in LINK.findall(index.read_text())}
    return {(index.parent / target).resolve() for target in targets}


def test_every_document_is_in_the_index() -> None:
    decisions = {path for path in DOCUMENTS if path.parent == DECISIONS}
    own = DECISIONS / "README.md"
    assert set(DOCUMENTS) - decisions - {INDEX} | {own} == linked_from(INDEX)
    assert decisions - {own} == linked_from(own) & decisions


def test_decisions_are_short_and_numbered_without_a_gap() -> None:
    paths = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [path.name[:4] for path in paths] == [f"{n:04}" for n in range(1, len(paths) + 1)]
    parts_of = {path.name: re.findall(r"^## (.*)$", path.read_text(), re.M) for path in paths}
    wanted = ["Context", "Decision", "Consequences", "Measured"]
    assert {name: found for name, found in parts_of.items() if found != wanted} == {}
    long = [path.name for path in paths if len(path.read_text().splitlines()) > DECISION_LINES_MAX]
    assert long == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_source_that_is_named_is_there(document: Path) -> None:
    text = document.read_text()
    missing = [
        f"{file}::{name}" if name else file
        for file, name in SOURCE.findall(text)
        if EXAMPLE not in file and not _is_there(file, name)
    ]
    missing += [path for path in FOLDER.findall(text) if not (ROOT / path).is_dir()]
    assert missing == []


def _is_there(file: str, name: str) -> bool:
    """Whether a source file is there, and has what is named in it; a test has to be one."""
    if not (ROOT / file).is_file():
        return False
    if name.startswith("test_"):
        return name in of(file)
    return not name or name in defined(file)


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_link_leads_somewhere(document: Path) -> None:
    lost = []
    for target, part in LINK.findall(document.read_text()):
        if "://" in target:
            continue
        path = document.parent / target if target else document
        if not path.exists() or (part and part not in parts(path)):
            lost.append(f"{target}#{part}")
    assert lost == []


def test_every_guarantee_of_readme_names_tests_that_exist() -> None:
    table = (ROOT / "README.md").read_text().partition("## Guarantees\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert rows and all(NAMED.search(row) for row in rows)
    missing = [
        f"{file}::{name}"
        for file, name in NAMED.findall(table)
        if not (ROOT / file).exists() or name not in of(file)
    ]
    assert missing == []


def test_readmes_code_and_picture_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "document-code"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def parts(document: Path) -> set[str]:
    """The names under which a document's headings can be linked."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}

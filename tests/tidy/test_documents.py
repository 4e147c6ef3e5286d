"""The documents: every one is in the index, and every link in them leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.test_security import NAMED, of
from tests.tidy.tree import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([\w-]*))?\)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    linked = {(ROOT / "docs" / target).resolve() for target, _ in LINK.findall(index)}
    assert {path for path in DOCUMENTS if path != ROOT / "docs" / "README.md"} == linked


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
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

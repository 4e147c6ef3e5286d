"""``make test`` ends with the reasons of the skipped tests and with the counts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.tidy.tree import ROOT

SKIPPING = """
import pytest

def test_that_passes():
    pass

@pytest.mark.parametrize("number", range(2))
def test_that_is_skipped(number):
    pytest.skip("no libvirt: no permission")
"""


def test_a_run_ends_with_each_reason_once_and_with_the_counts(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(SKIPPING)
    marked = 'import pytest\npytestmark = pytest.mark.skip("needs root")\ndef test_marked(): ...\n'
    (tmp_path / "test_three.py").write_text(marked)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider\n")
    ran = subprocess.run(
        ["sh", "scripts/run-tests", str(Path(sys.executable).parent), str(tmp_path)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        capture_output=True,
        text=True,
        check=True,
    )
    *_, first, second, last = ran.stdout.splitlines()
    assert first == "   4 skipped: no libvirt: no permission (test_one.py, test_two.py)"
    assert second == "   1 skipped: needs root (test_three.py)"
    assert last.startswith("2 passed, 5 skipped in ")

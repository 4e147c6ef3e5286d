"""``chronova host``: it asks the site's tables, wherever they lie."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronova.settings import Settings, write


@pytest.mark.parametrize(
    "verb", ["unknown-guests", "unknown-guests adopt vm-1 id", "unknown-guests remove vm-1 id"]
)
def test_the_embedded_database_is_asked(tmp_path: Path, verb: str) -> None:
    """It does not run here: the sentence is about its socket, not about a wrong address."""
    write(Settings(data=str(tmp_path), database="embedded"))
    done = subprocess.run(
        [sys.executable, "-m", "chronova", "--data", str(tmp_path), "host", *verb.split()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.defpath, "COLUMNS": "200"},
    )
    assert done.returncode == 1
    assert "connection to server on socket" in done.stderr and "dsn" not in done.stderr

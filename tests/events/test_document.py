"""docs/events.md is what the facts' classes say; ``make docs`` writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chronova.domains import load_messages
from events.message import MESSAGES, Event

ROOT = Path(__file__).resolve().parents[2]


def test_the_document_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "document-events"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_fact_is_in_it() -> None:
    load_messages()
    document = (ROOT / "docs" / "events.md").read_text()
    facts = [cls.__name__ for cls in MESSAGES.values() if issubclass(cls, Event)]
    assert [name for name in facts if f"\n### {name}\n" not in document] == []

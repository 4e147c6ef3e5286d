"""What only tomorrow's version has: a feature level, and the types of record that need it.

Each boot notes a fact (``BootNoted``) once the level is enabled; a command (``NoteBoot``) asks for
one. Today's version can read neither, so neither may be written while one of its processes lives.
"""

from __future__ import annotations

from pathlib import Path

LEVEL = 2

FACT = '''"""Only tomorrow's version knows it."""

from __future__ import annotations

from typing import ClassVar

from events.message import Event, ServerId


class BootNoted(Event, frozen=True, kw_only=True):
    """A boot was asked for."""

    since_level: ClassVar[int] = 2
    server_id: ServerId
'''

COMMAND = '''"""Only tomorrow's version knows it."""

from __future__ import annotations

from typing import ClassVar

from commands.decision import Decision, View, accept, decides_on_view
from events.compute.noted import BootNoted
from events.message import Command, ServerId


class NoteBoot(Command, frozen=True, kw_only=True):
    """Note a boot."""

    since_level: ClassVar[int] = 2
    server_id: ServerId


@decides_on_view(NoteBoot)
def note(view: View, command: NoteBoot, at: int) -> Decision:
    """Note it."""
    return accept(BootNoted(at=at, server_id=command.server_id))
'''

EDITS = (
    (
        "events/features.py",
        'LEVELS = {LOWEST: "Every record of version 0.1.0."}',
        'LEVELS = {LOWEST: "Every record of version 0.1.0.", 2: "BootNoted, NoteBoot."}',
    ),
    (
        "events/compute/__init__.py",
        "from events.compute import departed,",
        "from events.compute import noted, departed,",
    ),
    (
        "commands/compute/create.py",
        "    return accept(*created, ServersRequested(",
        "    from events.compute.noted import BootNoted\n"
        "    noted = [BootNoted(at=at, server_id=ids[0])] if view.level >= 2 else []\n"
        "    return accept(*noted, *created, ServersRequested(",
    ),
)

ASK = """
import sys
from chronova import settings
from chronova.connections import open_site_log
from chronova.domains import load_messages
from chronova.question import Question
from commands.compute.note import NoteBoot
from events.features import NotEnabled

load_messages()
log = open_site_log(settings.load(sys.argv[1]))
try:
    question = Question(log, NoteBoot(server_id="asked"), "asked")
    print(*(type(event).__name__ for event in question.answer(30.0)))
except NotEnabled as error:
    print(error)
finally:
    log.close()
"""
"""A program of tomorrow's version: asks for a fact of the level and prints what came of it."""


def add_feature(folder: Path) -> None:
    """Make the copy of the code in ``folder`` tomorrow's."""
    (folder / "events/compute/noted.py").write_text(FACT)
    (folder / "commands/compute/note.py").write_text(COMMAND)
    for file, old, new in EDITS:
        text = (folder / file).read_text()
        assert text.count(old) == 1, f"{file} has changed: {old}"
        (folder / file).write_text(text.replace(old, new))

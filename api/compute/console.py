"""A server's console log, as its guest wrote it.

Consoles are big and are no facts: hosts keep them beside the log, and a ``ConsoleSource`` reads
them. No source is asked for a server that has no host.
"""

from __future__ import annotations

import re
from typing import Any

from api.compute.faults import conflict, not_found
from api.compute.operation import Answer, Call
from api.consoles import ConsoleFiles, ConsoleSource, NoConsole
from projections.compute.server_queries import ServerRow

BYTES_MAX = 1024 * 1024
"""At most this much of the end is read, whatever a guest wrote (libvirt's own files are as big)."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that JSON and terminals had better not get; tab, newline and return stay."""


def console_output(call: Call, server: ServerRow, value: Any) -> Answer:
    """The last ``length`` lines of the console; all when it is null. Raises 404 or 409."""
    if server.host is None:
        raise conflict(f"Instance {server.id} is not ready")
    services = call.services
    source: ConsoleSource = services.consoles or ConsoleFiles(services.settings.instances_path)
    try:
        log = source.read(server.id, server.host, BYTES_MAX)
    except NoConsole:
        raise not_found("Guest does not have a console available.") from None
    text = CONTROL.sub("", log.decode("utf-8", "replace"))
    return Answer({"output": last_lines(text, (value or {}).get("length"))})


def last_lines(text: str, length: int | str | None) -> str:
    """The last so many lines; None and -1: all."""
    if length is None or int(length) < 0:
        return text
    lines = text.split("\n")
    wanted = int(length) + (1 if lines[-1] == "" else 0)
    return "\n".join(lines[-wanted:]) if int(length) else ""

"""The processes of a site, by their pid files: whose they are is asked of the process itself.

A number in a file proves nothing: after a restart of the machine it is another process's, and a
copied folder names the processes of the original. So each process says in its title which role
it is and of which folder, and a pid file counts only where its process says the same.
"""

from __future__ import annotations

from pathlib import Path

import psutil

SUPERVISOR = "supervisor"


def pid_file(data: Path, name: str) -> Path:
    """Where a process's pid lies."""
    return data / "run" / f"{name}.pid"


def title(data: Path, name: str) -> str:
    """How the process ``name`` of the site in ``data`` is called in the list of processes."""
    return f"chronova {' '.join(_verb(name))} --data {data}"


def running(data: Path, name: str) -> psutil.Process | None:
    """The process of a pid file, if it lives and is ``name`` of the site in ``data``."""
    try:
        process = psutil.Process(int(pid_file(data, name).read_text()))
        ours = process.status() != psutil.STATUS_ZOMBIE and is_ours(process.cmdline(), data, name)
    except (OSError, ValueError, psutil.Error):
        return None
    return process if ours else None


def is_ours(command: list[str], data: Path, name: str) -> bool:
    """Whether a command line is that of ``name`` of the site in ``data``: as it was started, as
    its title says, or as gunicorn shows the title of the process that it leads."""
    if command[-len(_verb(name)) - 2 :] == ["--data", str(data), *_verb(name)]:
        return True
    said = " ".join(command).rstrip()
    return said in (title(data, name), f"gunicorn: master [{title(data, name)}]")


def _verb(name: str) -> list[str]:
    return ["supervise"] if name == SUPERVISOR else ["serve", name]

"""What Postgres says when it fails, in the words of the log's contract.

A failure that passes when the server, its disk or its rights are mended is ``LogUnavailable``;
what was refused because of what it is has a name of its own; anything else is a ``LogError``.
After some a session is not to be trusted any more and has to be dropped.
"""

from __future__ import annotations

import psycopg2

from events.log.contract import LogError, LogUnavailable, RecordTooLarge, Unstorable

_LOST = ("08", "25", "57")
"""SQLSTATE classes of what concerns the connection, the server's stop, and a session that is
read-only, which it stays when the database is not."""

_PASSING = ("40", "53", "55", "58")
"""Deadlock, no resources (a full disk), lock not available, system error."""

_NOT_INSTALLED = ("3F000", "42P01", "42883", "26000")
"""Somebody dropped the schema: a new session looks for it."""

_NO_SUCH_TEXT = ("22021", "22P05")
_TOO_LARGE = "54"
_BROKEN = "XX"
"""Internal errors, damaged data."""


def ends_session(error: psycopg2.Error) -> bool:
    """Say whether the session is to be dropped."""
    code = error.pgcode
    return code is None or code[:2] in (*_LOST, _BROKEN) or code in _NOT_INSTALLED


def translated(error: psycopg2.Error) -> LogError:
    """Return the contract's error for it."""
    code, said = error.pgcode, sentence(error)
    if code is None or code[:2] in (*_LOST, *_PASSING) or code in _NOT_INSTALLED:
        return LogUnavailable(said)
    if code in _NO_SUCH_TEXT:
        return Unstorable(f"this database cannot store a text: {said}")
    if code[:2] == _TOO_LARGE:
        return RecordTooLarge(f"Postgres takes no statement as large as this: {said}")
    return LogError(f"Postgres refused a statement of the log: {said}")


def sentence(error: psycopg2.Error) -> str:
    """Return what it says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__

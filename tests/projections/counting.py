"""What is sent to Postgres, counted."""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection as PsycopgConnection

from projections.connection import Cursor


class CountingCursor(Cursor):
    """Notes what is sent: each execute and each COPY is one round trip."""

    def execute(self, query: Any, arguments: Any = None) -> None:
        text = query if isinstance(query, str) else query.decode()
        self.connection.sent.append(text)
        super().execute(query, arguments)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        self.connection.sent.append(sql if isinstance(sql, str) else sql.decode())
        super().copy_expert(sql, file, size)


class CountingConnection(PsycopgConnection):  # type: ignore[misc] # psycopg2 has no types
    """A connection that notes what is sent through it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_factory = CountingCursor
        self.sent: list[str] = []

    def statements(self) -> list[str]:
        """The first words of every statement in what was sent, in order."""
        found = []
        for text in self.sent:
            for part in text.split(";"):
                words = part.replace("(", " ").split()
                if words and words[0] in ("BEGIN", "COPY", "EXECUTE", "DELETE", "SELECT", "COMMIT"):
                    found.append(" ".join(words[: 1 if words[0] in ("BEGIN", "COMMIT") else 2]))
        return found

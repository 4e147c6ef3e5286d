"""Commit the schemas of all message classes: ``python -m schemas.commit`` (``make schemas``).

Writes a new version file and its id for each class that is new or whose shape changed; a
changed ``doc`` alone rewrites the newest file in place. Never touches an older version.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

from events.message import MESSAGES
from schemas.catalog import LOCK, id_of, namespace_of
from schemas.derive import Schema, derive

ROOMS = ("events", "commands")


def import_messages() -> None:
    """Import every module that may define a message."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.startswith("events.log."):
                importlib.import_module(module.name)


def shape(schema: object) -> object:
    """A schema without its docs: what decides whether a version is new."""
    if isinstance(schema, dict):
        return {k: shape(v) for k, v in schema.items() if k != "doc"}
    if isinstance(schema, list):
        return [shape(item) for item in schema]
    return schema


def commit(lock: Path = LOCK) -> list[str]:
    """Bring ``lock`` and the files beside it up to date; the subjects that were written."""
    entries = json.loads(lock.read_text()) if lock.exists() else {}
    written = []
    for message, cls in sorted(MESSAGES.items()):
        schema = derive(cls, namespace_of(message))
        versions = entries.setdefault(message, [])
        last = json.loads((lock.parent / versions[-1]["file"]).read_text()) if versions else None
        if last == schema:
            continue
        if last is None or shape(last) != shape(schema):
            versions.append(_entry(message, len(versions) + 1))
        _write(lock.parent / versions[-1]["file"], schema)
        written.append(f"{message}/{versions[-1]['version']}")
    _refuse_twins(entries)
    lock.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")
    return written


def _entry(message: str, version: int) -> dict[str, object]:
    file = f"{message.replace('.', '/', 1)}.{version}.avsc"
    return {"version": version, "id": id_of(message, version), "file": file}


def _write(path: Path, schema: Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, indent=1) + "\n")


def _refuse_twins(entries: dict[str, list[dict[str, object]]]) -> None:
    seen: dict[object, str] = {}
    for message, versions in entries.items():
        for entry in versions:
            other = seen.setdefault(entry["id"], message)
            if other != message:
                raise SystemExit(f"{message} and {other} would share the schema id {entry['id']}")


if __name__ == "__main__":
    import_messages()
    for subject in commit():
        sys.stdout.write(f"{subject}\n")

"""Commit the schemas of all message classes: ``python -m schemas.commit`` (``make schemas``).

Adds a version to the file of each class that is new or whose shape changed; a changed ``doc``
alone rewrites the newest version in place. Never touches an older version. Without any files,
each class gets its version 1.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path

from events.message import MESSAGES
from schemas.catalog import FOLDER, Version, id_of, load, namespace_of
from schemas.derive import derive
from schemas.record_file import content_of, path_of

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


def commit(folder: Path = FOLDER) -> list[str]:
    """Bring the files in ``folder`` up to date; the subjects that were written."""
    known = load(folder)
    changed: list[list[Version]] = []
    for message, cls in sorted(MESSAGES.items()):
        schema = derive(cls, namespace_of(message))
        versions = list(known.messages().get(message, ()))
        if versions and versions[-1].schema == schema:
            continue
        if versions and shape(versions[-1].schema) == shape(schema):
            versions.pop()
        number = len(versions) + 1
        versions.append(Version(message, number, id_of(message, number), schema))
        changed.append(versions)
    new = [version for versions in changed for version in versions]
    refuse_twins([*known.versions(), *new])
    for versions in changed:
        path = folder / path_of(versions[-1].message)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of([version.schema for version in versions]))
    return [versions[-1].subject for versions in changed]


def refuse_twins(versions: Iterable[Version]) -> None:
    """Exit if two of ``versions`` have one id."""
    seen: dict[int, str] = {}
    for version in versions:
        other = seen.setdefault(version.id, version.subject)
        if other != version.subject:
            raise SystemExit(
                f"{version.subject} and {other} would share the schema id {version.id}"
            )


if __name__ == "__main__":
    import_messages()
    written = commit()
    for subject in written:
        sys.stdout.write(f"{subject}\n")
    sys.stdout.write(f"schemas: {len(written)} versions written, of {len(MESSAGES)} records\n")

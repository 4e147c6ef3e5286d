"""What may change in the contract: ``python -m schemas.compatibility [REF]``.

Events are kept for ever and read by others; commands, work and replies go between versions during
an upgrade. So every version of a message reads what every other wrote (FULL_TRANSITIVE).

What is committed at ``REF`` (main) stays: no message or version goes, and none changes but for the
docs of the newest. ``none`` for ``REF`` compares with nothing: before the first release all may be
written anew.

Reader and writer are compared by Apache's own implementation of Avro's resolution rules.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import combinations
from pathlib import Path, PurePath

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from events.message import MESSAGES
from schemas.catalog import FOLDER, Catalog, Version, catalog_of, load
from schemas.commit import import_messages, shape
from schemas.record_file import ALL

BASE = "main"
NOTHING = "none"


class NoSuchRef(Exception):
    """Git knows no such commit; the text is a sentence."""


class OtherForm(Exception):
    """The schemas of a commit lie in files that are not read any more; the text is a sentence."""


def problems(now: Catalog, then: Catalog | None, classes: Mapping[str, type]) -> list[str]:
    """A sentence for each rule that is broken, none if all is well.

    ``then`` is what was committed before, ``classes`` the message classes by name.
    """
    found = []
    for message, versions in now.messages().items():
        if message not in classes:
            found.append(f"{message} has schemas but no class: its records could not be read")
        found += incompatible(versions)
    if then is not None:
        found += changed(now, then)
    return found


def incompatible(versions: Sequence[Version]) -> Iterator[str]:
    """Where versions of one message cannot read each other; ``versions`` ordered, oldest first."""
    if len(versions) == 1:
        return
    parsed = {v.version: avro.schema.parse(json.dumps(v.schema)) for v in versions}
    for older, newer in combinations(versions, 2):
        for reader, writer in ((newer, older), (older, newer)):
            result = ReaderWriterCompatibilityChecker().get_compatibility(
                parsed[reader.version], parsed[writer.version]
            )
            if result.compatibility is not SchemaCompatibilityType.compatible:
                why = ", ".join(sorted({kind.value for kind in result.incompatibilities}))
                where = ", ".join(sorted(result.locations))
                what = ", ".join(sorted(result.messages))
                yield f"{reader.subject} cannot read {writer.subject}: {why} at {where}: {what}"


def changed(now: Catalog, then: Catalog) -> Iterator[str]:
    """What was committed and is not so any more."""
    for old in then.versions():
        new = now.find(old.message, old.version)
        if new is None:
            yield f"{old.subject} is committed and must stay"
        elif not _same(new, old, newest=now.newest(old.message) == new):
            yield f"{old.subject} is committed and cannot change; add a version (make schemas)"


def _same(new: Version, old: Version, newest: bool) -> bool:
    if newest:
        return shape(new.schema) == shape(old.schema)
    return new.schema == old.schema


def committed(ref: str, folder: Path = FOLDER) -> Catalog:
    """The catalogue as it is at ``ref``. Raises ``NoSuchRef``, ``OtherForm``."""
    files = files_at(ref, folder)
    if "ids.lock" in files:
        raise OtherForm(
            f"not compared with {ref}: there each version of a schema is a file (*.avsc, ids.lock),"
            " a form that is not read any more"
        )
    return catalog_of({path: files[path] for path in files if PurePath(path).match(ALL)})


def files_at(ref: str, folder: Path) -> dict[str, bytes]:
    """The files of ``folder`` as they are at ``ref``, or ``origin/<ref>``, by path in it. Raises
    ``NoSuchRef``."""
    names = (ref, f"origin/{ref}")
    known = [name for name in names if _git(folder, "rev-parse", "--verify", f"{name}^{{commit}}")]
    if not known:
        raise NoSuchRef(
            f"git knows neither {names[0]} nor {names[1]}; give a commit to compare with"
        )
    archive = _git(folder, "archive", "--format=tar", known[0], ".")
    if not archive:
        raise NoSuchRef(f"{known[0]} has no folder {folder.name}")
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        files = {
            member.name.removeprefix("./"): tar.extractfile(member)
            for member in tar.getmembers()
            if member.isfile()
        }
        return {name: file.read() for name, file in files.items() if file is not None}


def _git(folder: Path, *arguments: str) -> bytes:
    """What git says, empty if it fails."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=60)
    return done.stdout if done.returncode == 0 else b""


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; 1 if anything is, 2 if there is nothing to compare with."""
    import_messages()
    ref = arguments[0] if arguments else BASE
    then = None
    try:
        then = None if ref == NOTHING else committed(ref)
    except NoSuchRef as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OtherForm as error:
        sys.stderr.write(f"{error}\n")
    found = problems(load(), then, MESSAGES)
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

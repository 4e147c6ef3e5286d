"""The rules of change, each shown by breaking it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from events.message import MESSAGES, Command, Event
from schemas.catalog import Catalog, Version, catalog, id_of, load
from schemas.commit import import_messages
from schemas.compatibility import (
    BASE,
    NOTHING,
    NoSuchRef,
    OtherForm,
    committed,
    main,
    problems,
)
from schemas.record_file import content_of, path_of

NAME = "compute.Tried"
FILE = path_of(NAME)
CLASSES: dict[str, type] = {NAME: Event}
COMMANDS: dict[str, type] = {NAME: Command}


def field(name: str, type: Any = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type, "doc": "A field.", **more}


def record(*fields: dict[str, Any], doc: str = "A record.", name: str = "Tried") -> dict[str, Any]:
    space = "chronova.compute"
    return {"type": "record", "name": name, "namespace": space, "doc": doc, "fields": list(fields)}


def versions(*schemas: dict[str, Any]) -> Catalog:
    return Catalog([Version(NAME, n, id_of(NAME, n), s) for n, s in enumerate(schemas, start=1)])


A, B = field("a"), field("b")
B_OPTIONAL = field("b", ["null", "string"], default=None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([A], [A, B_OPTIONAL]),
        ([A, B_OPTIONAL], [A]),
        ([A, field("b", default="")], [field("b", default=""), A]),
        ([A], [A, field("b", {"type": "map", "values": "string"}, default={})]),
        ([field("a", record(A, name="In"))], [field("a", record(A, B_OPTIONAL, name="In"))]),
    ],
)
def test_defaults_both_ways_are_fine(old: list[Any], new: list[Any]) -> None:
    assert problems(versions(record(*old), record(*new)), None, CLASSES) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ([A], [A, B], "compute.Tried/2 cannot read compute.Tried/1: reader_field_missing"),
        ([A, B], [A], "compute.Tried/1 cannot read compute.Tried/2: reader_field_missing"),
        ([A], [field("a", "long")], "compute.Tried/2 cannot read compute.Tried/1: type_mismatch"),
        ([field("a", "long")], [field("a", "double")], "compute.Tried/1 cannot read"),
        ([A], [field("a", ["null", "string"])], "compute.Tried/1 cannot read"),
        ([A], [field("c")], "compute.Tried/2 cannot read compute.Tried/1: reader_field_missing"),
        (
            [field("a", {"type": "array", "items": record(A, name="In")})],
            [field("a", {"type": "array", "items": record(A, B, name="In")})],
            "compute.Tried/2 cannot read compute.Tried/1: reader_field_missing",
        ),
        (
            [field("a", ["null", record(A, name="In")])],
            [field("a", ["null", record(A, B, name="In")])],
            "compute.Tried/2 cannot read compute.Tried/1: missing_union_branch",
        ),
    ],
)
def test_events_that_one_side_cannot_read(old: list[Any], new: list[Any], sentence: str) -> None:
    found = problems(versions(record(*old), record(*new)), None, CLASSES)
    assert any(problem.startswith(sentence) for problem in found), found


def test_commands_are_held_to_the_same_rule() -> None:
    """An older decider or host gets them during an upgrade."""
    assert problems(versions(record(A, B), record(A)), None, COMMANDS) != []
    assert problems(versions(record(A), record(A, B)), None, COMMANDS) != []


def test_every_version_is_compared_with_every_other() -> None:
    """1 → 2 and 2 → 3 are each fine; 3 cannot read 1: the default of b is gone."""
    three = versions(record(A), record(A, field("b", default="")), record(A, B))
    assert [p for p in problems(three, None, COMMANDS) if "/3 cannot read compute.Tried/1" in p]
    assert not [p for p in problems(three, None, COMMANDS) if "/3 cannot read compute.Tried/2" in p]


def test_a_message_without_class() -> None:
    assert problems(versions(record(A)), None, {}) == [
        "compute.Tried has schemas but no class: its records could not be read"
    ]


def test_what_is_committed_stays() -> None:
    then = versions(record(A), record(A, B_OPTIONAL))
    assert problems(then, then, CLASSES) == []
    gone = versions(record(A))
    assert problems(gone, then, CLASSES) == ["compute.Tried/2 is committed and must stay"]
    assert problems(Catalog([]), gone, CLASSES) == ["compute.Tried/1 is committed and must stay"]


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        ([record(A, doc="Better said.")], True),
        ([record(A, B_OPTIONAL)], False),
        ([record(field("a", default=""))], False),
        ([record(A, doc="Better said."), record(A, B_OPTIONAL)], False),
        ([record(A), record(A, B_OPTIONAL)], True),
    ],
)
def test_only_the_newest_version_may_be_said_better(now: list[Any], allowed: bool) -> None:
    found = problems(versions(*now), versions(record(A)), CLASSES)
    sentence = "compute.Tried/1 is committed and cannot change; add a version (make schemas)"
    assert found == ([] if allowed else [sentence])


def test_comparing_with_a_commit(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    then = committed("base", folder)
    assert [v.subject for v in then.versions()] == ["compute.Tried/1"]
    assert then.by_id(id_of(NAME, 1)).schema == record(A)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ([record(A), record(A, B_OPTIONAL)], []),
        ([record(A, B_OPTIONAL)], ["compute.Tried/1 is committed and cannot change"]),
        ([record(A), record(A, B)], ["compute.Tried/2 cannot read compute.Tried/1"]),
        ([], ["compute.Tried/1 is committed and must stay"]),
    ],
)
def test_files_are_compared_with_those_of_a_commit(
    tmp_path: Path, now: list[Any], found: list[str]
) -> None:
    folder = repository(tmp_path)
    (folder / FILE).write_bytes(content_of(now))
    sentences = problems(load(folder), committed("base", folder), CLASSES)
    assert len(sentences) == len(found)
    assert all(s.startswith(f) for s, f in zip(sentences, found, strict=True)), sentences


def test_a_commit_with_files_of_the_old_form_is_not_compared_with(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    git(tmp_path, "checkout", "--quiet", "--force", "-b", "old", "empty")
    (folder / "ids.lock").write_text("{}")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=The old form")
    with pytest.raises(OtherForm, match=r"^not compared with old: there each version .* is a file"):
        committed("old", folder)


def test_before_the_first_release_nothing_is_compared_with() -> None:
    assert main([NOTHING]) == 0


def test_a_commit_before_there_were_schemas(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    assert committed("empty", folder).versions() == []


def test_a_commit_that_git_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NoSuchRef, match="nonsense"):
        committed("nonsense", repository(tmp_path))
    assert main(["no-such-branch"]) == 2
    assert "no-such-branch" in capsys.readouterr().err


def test_the_contract_of_this_tree() -> None:
    import_messages()
    assert problems(catalog(), None, MESSAGES) == []


def test_the_contract_keeps_what_is_committed() -> None:
    import_messages()
    try:
        then = committed(BASE)
    except (NoSuchRef, OtherForm) as reason:
        pytest.skip(str(reason))
    assert problems(catalog(), then, MESSAGES) == []


def repository(path: Path) -> Path:
    """A git repository's folder of schemas; ``empty`` and ``base`` are its branches."""
    folder = path / "schemas"
    (folder / "compute").mkdir(parents=True)
    (folder / "README").write_text("Schemas.\n")
    git(path, "init", "--quiet", "--initial-branch=empty")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=Nothing yet")
    git(path, "checkout", "--quiet", "-b", "base")
    (folder / FILE).write_bytes(content_of([record(A)]))
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=One schema")
    (folder / FILE).write_text("{}")
    return folder


def git(path: Path, *arguments: str) -> None:
    who: Sequence[str] = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", str(path), *who, *arguments], check=True, timeout=30)

"""The checker of histories: a clean one passes, one with a single violation shows its kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.chaos.history import __main__ as command
from tests.chaos.history import planted
from tests.chaos.history.checker import violations
from tests.chaos.history.entries import SECOND, Fault, Guest, Held, Recorder, Removed, read
from tests.chaos.history.story import Story, clean


def kinds(story: Story) -> set[str]:
    return {violation.kind for violation in violations(story.entries)}


def test_a_clean_history_passes() -> None:
    assert violations(clean().entries) == []


@pytest.mark.parametrize(
    ("kind", "plant"),
    [(kind, plant) for kind, plants in planted.PLANTED.items() for plant in plants],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_violation_is_found_as_what_it_is(kind: str, plant: Callable[[Story], None]) -> None:
    story = clean()
    plant(story)
    assert kinds(story) == {kind}


@pytest.mark.parametrize(
    "plant", [planted.behind_a_write, planted.went_back, planted.not_there_after_its_boot]
)
def test_reads_may_go_back_only_around_a_crash_of_postgres(plant: Callable[[Story], None]) -> None:
    for name, back, tolerated in (("kill backend", True, True), ("kill projector", False, False)):
        story = clean()
        began = story.later()
        plant(story)
        fault = Fault(name=name, began=began, ended=story.later(), tables_go_back=back)
        story.entries.append(fault)
        assert (kinds(story) == set()) is tolerated


def test_a_read_goes_back_long_after_a_crash_of_postgres() -> None:
    story = clean()
    story.entries.append(
        Fault(name="kill backend", began=story.at, ended=story.later(), tables_go_back=True)
    )
    story.later(20 * SECOND)
    planted.behind_a_write(story)
    assert kinds(story) == {"behind a write"}


@pytest.mark.parametrize(("name", "kinds_found"), [("stop postgres", 0), ("kill agent", 1)])
def test_time_to_catch_up_does_not_run_while_the_tables_are_held(
    name: str, kinds_found: int
) -> None:
    story = clean()
    for fault, back in (("kill backend", True), (name, False)):
        began = story.later()
        holds = fault != "kill agent"
        ended = story.later(10 * SECOND)
        entry = Fault(name=fault, began=began, ended=ended, tables_go_back=back, holds_tables=holds)
        story.entries.append(entry)
    story.later(10 * SECOND)
    planted.behind_a_write(story)
    assert len(kinds(story)) == kinds_found


@pytest.mark.parametrize(
    "plant",
    [
        *(planted.lost, planted.lost_boot, planted.lost_delete),
        *(planted.never_was, planted.refused_but_done),
    ],
)
def test_what_was_answered_after_the_copy_may_be_gone(plant: Callable[[Story], None]) -> None:
    story = clean()
    story.put_back(plant)
    assert kinds(story) == set()
    for before in (True, False):
        story = clean()
        for _ in range(before):
            plant(story)
        story.put_back()
        for _ in range(not before):
            plant(story)
        assert len(kinds(story)) == 1, before


def test_a_guest_may_have_been_started_by_what_is_gone() -> None:
    for operation, starts in (("start", 1), ("reboot", 2)):
        story = clean()
        story.put_back(partial(Story.ask, operation=operation, server="a", status=202))
        guest = next(e for e in story.entries if isinstance(e, Guest) and e.server_id == "a")
        at = story.entries.index(guest)
        story.entries[at] = replace(guest, boots=guest.boots + starts)
        assert kinds(story) == set()
        story.entries[at] = replace(guest, boots=guest.boots + starts + 1)
        assert kinds(story) == {"host"}


def test_guests_that_are_deleted_or_removed_by_the_operator_are_not_erased() -> None:
    story = clean()
    story.entries.append(Held(at=story.at, guest=Guest(host="h", server_id="b", boots=1)))
    story.entries.append(Held(at=story.at, guest=Guest(host="h", server_id="unknown", boots=1)))
    story.put_back()
    assert kinds(story) == {"erased"}
    story.entries.append(Removed(host="h", server_id="unknown"))
    assert kinds(story) == set()
    story.entries.remove(Guest(host="h", server_id="b", boots=1))
    assert kinds(story) == {"erased"}
    story.delete("b")
    assert kinds(story) == set()


def test_a_guest_may_be_deleted_by_what_a_second_copy_does_not_hold() -> None:
    story = clean()
    guest = story.entries.pop()
    story.entries.append(Held(at=story.at, guest=guest))
    story.put_back()
    assert kinds(story) == {"erased"}
    story.put_back(partial(Story.ask, operation="delete", server="b", status=204))
    assert kinds(story) == set()


def test_a_kept_history_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, plant, code in (("clean", lambda story: None, 0), ("lost", planted.lost, 1)):
        story = clean()
        plant(story)
        recorder = Recorder(tmp_path / name)
        recorder.add(*story.entries)
        assert read(recorder.path) == story.entries
        monkeypatch.setattr("sys.argv", ["history", str(recorder.path)])
        assert command.main() == code
    assert "WRONG: lost: client 0: metadata a" in capsys.readouterr().out

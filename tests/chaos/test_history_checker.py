"""The checker of histories: a clean one passes, one with a single violation shows its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.history import __main__ as command
from tests.chaos.history import planted
from tests.chaos.history.checker import violations
from tests.chaos.history.entries import SECOND, Fault, Recorder, read
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

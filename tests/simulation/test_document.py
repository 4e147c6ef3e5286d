"""docs/states.md is what the deciders and the table of transitions say; ``make docs`` writes it."""

from __future__ import annotations

from tests.simulation.document import PATH, moves, page, scenes


def test_the_document_is_current() -> None:
    assert PATH.read_text() == page(), "run `make docs`"


def test_every_task_state_is_in_it() -> None:
    states = {state for before, after in moves().values() for state in (*before, *after)}
    assert {scene.task for scene in scenes()} == {task for _, task in states} - {None}

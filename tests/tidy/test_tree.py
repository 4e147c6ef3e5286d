"""The tree says what lives where: sizes, names, mirrors, and nothing left for later."""

from __future__ import annotations

import ast
import re
from pathlib import PurePath

from tests.tidy.tree import ROOMS, ROOT, calls, files, lies_in, parsed, text

LINES_MAX = 400

LONGER = {
    # The measuring client of the comparison with Nova, kept as it was written for both.
    "tests/bench/measure.py": 750,
    # One test for each resource of the directory; a table in effect.
    "tests/api/identity/test_directory.py": 500,
    # The list of what can have happened to a server.
    "events/compute/server/facts.py": 500,
}
"""Files that may be longer, and why."""

SAYS_NOTHING = {"util", "utils", "helper", "helpers", "base", "misc", "common", "manager", "info"}
SAYS_NOTHING |= {"data"}

FOR_A_REASON = {
    # What it is about is called so: an image's data, in Glance's own words.
    "tests/api/image/test_data.py",
}

LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError\b")

SAID_BY_OTHERS = {
    "FIXME": ("handlers/compute/drivers/instance_metadata.py",),  # a literal value of Nova's
    # What msgspec's hooks must raise for a type that they do not know.
    "raise NotImplementedError": ("events/state_codec.py",),
}

POLLING = ("tests/parts/site.py",)
"""Waiting for another process's condition, which nothing tells of, with a limit."""

HANDLERS = {
    "chronova/stopping.py",
    "chronova/supervisor.py",  # only back to the default
    "handlers/decider/budget.py",  # it counts, and breaks off what can be thrown away
    "projections/bulk.py",
}
"""Where handlers of signals may be set. Each sets a flag or writes to a pipe, but where said."""

ACROSS = {
    *("tidy", "parts", "simulation", "bench", "chaos", "conformance", "operations"),
    "properties",
}
"""Folders of tests that mirror no room."""

EVERYTHING = files(*ROOMS, "tests")


def test_a_file_can_be_read_in_one_go() -> None:
    longer = {file: n for file in EVERYTHING if (n := lines(file)) > LONGER.get(file, LINES_MAX)}
    assert longer == {}


def test_no_exception_is_kept_for_nothing() -> None:
    assert [file for file in LONGER if not (ROOT / file).exists() or lines(file) <= LINES_MAX] == []


def test_a_name_says_something() -> None:
    def words(file: str) -> set[str]:
        parts = PurePath(file).with_suffix("").parts
        return {word for part in parts for word in part.split("_")}

    wrong = {file for file in EVERYTHING if words(file) & SAYS_NOTHING}
    assert wrong - FOR_A_REASON == set()


def test_a_module_says_what_it_is_for() -> None:
    assert [file for file in files(*ROOMS) if not ast.get_docstring(parsed(file))] == []


def test_nothing_is_left_for_later() -> None:
    left = [
        f"{file}: {match.group()}"
        for file in EVERYTHING
        if not file.startswith("tests/tidy/")
        for match in LATER.finditer(text(file))
        if file not in SAID_BY_OTHERS.get(match.group(), ())
    ]
    assert left == []


def test_no_test_sleeps() -> None:
    """A test waits for a position or a condition, with a limit. Benchmarks measure time."""
    slept = {"time.sleep", "asyncio.sleep", "sleep", "gevent.sleep"}
    wrong = [
        str(call)
        for file in files("tests")
        if not lies_in(file, ("tests/bench/", *POLLING))
        for call in calls(file)
        if call.name in slept
    ]
    assert wrong == []


def test_handlers_of_signals_are_made_where_they_take_no_lock() -> None:
    """A handler runs while its own thread may hold any lock; ``chronova.stopping`` says more."""
    made = {file for file in files(*ROOMS) for call in calls(file) if call.name == "signal.signal"}
    assert made - HANDLERS == set()
    assert HANDLERS - made == set(), "an exception is kept for nothing"


def test_every_room_of_tests_mirrors_one_of_the_code() -> None:
    """``tests/a/b`` tests ``a/b``; what tests something across rooms stands directly in tests."""
    wrong = []
    for file in files("tests"):
        folder = PurePath(file).parent.relative_to("tests")
        if folder.parts and folder.parts[0] not in ACROSS:
            mirrored = ROOT / folder
            if not mirrored.is_dir() and not mirrored.with_suffix(".py").exists():
                wrong.append(file)
    assert wrong == []


def test_every_folder_of_tests_is_a_package() -> None:
    assert [f for f in files("tests") if not (ROOT / f).with_name("__init__.py").exists()] == []


def lines(file: str) -> int:
    return text(file).count("\n")

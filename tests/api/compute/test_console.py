"""os-getConsoleOutput, and the files it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.compute.console import last_lines
from api.consoles import ConsoleFiles, NoConsole
from tests.api.compute.world import World, refused


def write(world: World, server_id: str, content: bytes) -> None:
    path = world.settings.instances_path / "c1" / server_id / "console.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("value", "output"),
    [
        ({}, "one\ntwo\nthree\n"),
        ({"length": None}, "one\ntwo\nthree\n"),
        ({"length": -1}, "one\ntwo\nthree\n"),
        ({"length": 0}, ""),
        ({"length": 1}, "three\n"),
        ({"length": "2"}, "two\nthree\n"),
        ({"length": 10**30}, "one\ntwo\nthree\n"),
    ],
)
def test_the_last_lines(world: World, value: Any, output: str) -> None:
    server_id = world.boot()
    write(world, server_id, b"one\ntwo\x00\x1b\nthree\n")
    answer = world.act(server_id, {"os-getConsoleOutput": value})
    assert answer.status_code == 200
    assert answer.json == {"output": output}


def test_lines_without_a_last_newline() -> None:
    assert last_lines("one\ntwo", 1) == "two"
    assert last_lines("", 5) == ""


@pytest.mark.parametrize("value", [{"length": "x"}, {"length": -2}, {"length": 1.5}, [], {"x": 1}])
def test_lengths_that_cannot_be(world: World, value: Any) -> None:
    answer = world.act(world.boot(), {"os-getConsoleOutput": value})
    refused(answer, 400, "badRequest")


def test_without_a_log_it_is_404(world: World) -> None:
    answer = world.act(world.boot(), {"os-getConsoleOutput": {}})
    refused(answer, 404, "itemNotFound", "console")


def test_without_a_host_it_is_409(world: World) -> None:
    world.flavor("huge", ram_mib=2**30)
    server_id = world.create({"flavorRef": "huge"}).json["server"]["id"]
    answer = world.act(server_id, {"os-getConsoleOutput": {}})
    refused(answer, 409, "conflictingRequest", "not ready")


def test_only_the_end_of_a_big_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "c1" / "s1").mkdir(parents=True)
    (tmp_path / "c1" / "s1" / "console.log").write_bytes(b"x" * 5000 + b"end")
    assert ConsoleFiles(tmp_path).read("s1", "c1", 4) == b"xend"
    with pytest.raises(NoConsole):
        ConsoleFiles(tmp_path).read("s2", "c1", 4)

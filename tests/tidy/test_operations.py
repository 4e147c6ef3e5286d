"""An operation is whole: it has one name in every room, and each half its other half."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import PurePath

import pytest

import handlers.compute.agent
import handlers.reactions
from commands.decision import DECIDERS
from events.aggregate import AGGREGATES
from events.message import MESSAGES, Command, Event, Work
from events.topics import DOMAINS
from handlers.compute.host import kinds_of_agent
from handlers.compute.performing import PERFORMANCES
from handlers.reaction import REACTIONS
from schemas.catalog import catalog
from schemas.commit import import_messages
from tests.tidy.tree import dotted, files, parsed

import_messages()

ROOMS_OF_OPERATIONS = (handlers.compute.agent, handlers.reactions)
"""Imported for what they register."""

MECHANISM = {"agent", "image_fetch", "performing", "presence"}
"""Files of handlers/compute that perform no operation: they are how operations are performed."""

STORIES = {"empty_domain": "domain"}
"""Reactions that are named by what they do, and the command file it belongs to."""


def known(kind: type) -> list[str]:
    return sorted(
        name
        for name, cls in MESSAGES.items()
        if issubclass(cls, kind) and name in catalog().messages()
    )


@pytest.mark.parametrize("name", known(Command))
def test_each_command_is_decided(name: str) -> None:
    assert name in DECIDERS


@pytest.mark.parametrize("name", known(Work))
def test_each_work_is_performed(name: str) -> None:
    assert name in PERFORMANCES or name in kinds_of_agent({}, lambda reason: None)


@pytest.mark.parametrize("name", known(Event))
def test_each_event_has_its_place_in_evolve(name: str) -> None:
    """Of each aggregate that it says it folds into."""
    cls = MESSAGES[name]
    assert issubclass(cls, Event)
    for aggregate, _ in cls.folds:
        assert aggregate in AGGREGATES, f"{name} folds into {aggregate}, which nobody registered"
    if cls.folds:
        assert cls.__name__ in _matched(cls.type_domain), f"no evolve has a case {cls.__name__}"


def _matched(domain: str) -> set[str]:
    """The classes that some file of a domain's events has a case for."""
    found = set()
    for file in files(f"events/{domain}"):
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.MatchClass):
                found.add(dotted(node.cls).rpartition(".")[2])
            elif isinstance(node, ast.Call) and dotted(node.func) == "isinstance":
                found |= {
                    dotted(each).rpartition(".")[2]
                    for each in ast.walk(node.args[1])
                    if isinstance(each, ast.expr)
                }
            elif isinstance(node, ast.Dict):
                found |= {dotted(key).rpartition(".")[2] for key in node.keys if key is not None}
    return found


def test_reactions_follow_events_that_exist() -> None:
    assert set(REACTIONS) <= set(known(Event))


def test_a_performance_lies_in_the_file_of_its_operation() -> None:
    for name, performance in PERFORMANCES.items():
        work = MESSAGES[name].__module__.rpartition(".")[2]
        assert performance.perform.__module__.rpartition(".")[2] == work


@pytest.mark.parametrize("file", [f for f in files("handlers/compute") if "drivers" not in f])
def test_an_operation_of_a_host_has_its_command(file: str) -> None:
    stem = PurePath(file).stem
    if stem not in MECHANISM | {"__init__"}:
        assert stem in _operations()


@pytest.mark.parametrize("file", files("handlers/reactions"))
def test_a_story_has_its_command(file: str) -> None:
    stem = PurePath(file).stem
    if stem != "__init__":
        assert STORIES.get(stem, stem) in _operations()


SCHEDULER = {
    f"commands.fleet.{name}"
    for name in ("candidates", "demand", "ranking", "room", "scheduling", "table")
}
"""They register nothing, and bring numpy, which only the scheduler's process needs."""


@pytest.mark.parametrize("domain", DOMAINS)
def test_importing_a_domain_is_enough(domain: str) -> None:
    """What nobody imports registers nothing. The scheduler is loaded by its first placement."""
    modules = {
        str(PurePath(file).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for room in ("events", "commands")
        for file in files(f"{room}/{domain}")
    }
    at_first_use = SCHEDULER if domain == "fleet" else set()
    assert modules - _loaded(domain) == at_first_use


def _loaded(domain: str) -> set[str]:
    """What importing its packages loads, in a process that has imported nothing else."""
    packages = f"events.{domain}, commands.{domain}"
    program = f"import json, sys, {packages}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(done.stdout))


def _operations() -> set[str]:
    return {PurePath(file).stem for file in files(*(f"commands/{domain}" for domain in DOMAINS))}

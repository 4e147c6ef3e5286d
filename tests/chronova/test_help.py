"""``chronova --help``: verbs in groups, a help text that begins with a verb, examples that work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from chronova import __version__, cli
from tests.chronova.test_first_steps import run

GROUPS = {cli.RUN, cli.INSPECT, cli.ADMINISTER, cli.MACHINES}
IMPERATIVES = {
    *("Check", "Compare", "Confirm", "Copy", "Create", "Examine", "Give", "List", "Make", "Manage"),
    *("Print", "Rebuild", "Remove", "Restore", "Run", "Show", "Start", "Stop"),
}
"""What a help text begins with. A new verb is one more word here."""


@pytest.fixture(scope="module")
def root() -> Any:
    cli.add_verbs()
    return get_command(cli.app)


def below(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb that help shows, with its words."""
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield " ".join((*path, name)), child
            yield from below(child, (*path, name))


def test_every_verb_is_in_a_group(root: Any) -> None:
    panels = {name: child.rich_help_panel for name, child in root.commands.items()}
    panels.pop("supervise")
    assert set(panels.values()) == GROUPS


def test_every_help_text_begins_with_an_imperative(root: Any) -> None:
    others = {
        name: (verb.help or "").split("\n")[0]
        for name, verb in below(root)
        if (verb.help or "none").split()[0].rstrip(",") not in IMPERATIVES
    }
    assert others == {}


def test_every_option_and_argument_says_what_it_is(root: Any) -> None:
    silent = [
        f"{name} {parameter.name}"
        for name, verb in below(root)
        for parameter in verb.params
        if not parameter.help
    ]
    assert silent == []


def test_every_example_can_be_typed(root: Any) -> None:
    """Verbs, options and arguments of each are parsed; nothing is run."""
    tried = 0
    for _, verb in [("", root), *below(root)]:
        for line in (verb.epilog or "").split("\n\n"):
            if line.startswith("$ "):
                words = shlex.split(line[2:].split("|")[0].split(">")[0])
                assert words[0] == "chronova"
                parse(root, words[1:])
                tried += 1
    assert tried > 20


def parse(command: Any, words: list[str], parent: Any = None) -> None:
    context = command.make_context("chronova", list(words), parent=parent)
    rest = [*context._protected_args, *context.args]
    if hasattr(command, "commands") and rest:
        parse(command.commands[rest[0]], rest[1:], context)


@pytest.mark.parametrize("verb", ["up", "serve", "backup", "acls", "tap", "trace", "explain"])
def test_verbs_with_much_to_say_have_examples(root: Any, verb: str) -> None:
    assert root.commands[verb].epilog.startswith("Examples:")


def test_an_example_that_cannot_be_typed_is_found(root: Any) -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(root, ["trace", "vm1", "--mermaid"])


def test_the_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"chronova {__version__}\n")

"""Verbs about the log's topics: ``topics`` lists them, ``topics create`` creates those missing."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from chronova.cli import MACHINES, app, as_json, examples, out, plainly, settings
from chronova.verbs import Json, table_of
from events import topics as names
from events.log.contract import Log, Topic, TopicMismatch

DAY_MS = 24 * 3600 * 1000

topics = typer.Typer()
app.add_typer(topics, name="topics", rich_help_panel=MACHINES)


class TopicState(msgspec.Struct, frozen=True):
    """A topic as the log has it.

    ``partitions`` is None where the topic is missing; ``retention_ms`` is what the site's settings
    ask for, None for ever.
    """

    topic: str
    partitions: int | None
    retention_ms: int | None


@topics.callback(
    invoke_without_command=True,
    epilog=examples("chronova topics", "chronova topics --host node1", "chronova topics create"),
)
@plainly
def list_topics(
    context: typer.Context,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Also list the topic of this host's work; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """List the topics of the log: name, partitions, retention.

    Exit code 1 when one is missing; `chronova topics create` creates it.
    """
    if context.invoked_subcommand is not None:
        return
    from chronova.connections import open_site_log, topics_of

    log = open_site_log(settings())
    try:
        found = states(log, [*topics_of(settings()), *map(names.of_host, host or ())])
    finally:
        log.close()
    if json:
        as_json(found)
    else:
        out.print(table_of([_row(state) for state in found]))
    if any(state.partitions is None for state in found):
        raise typer.Exit(1)


@topics.command("create", epilog=examples("chronova topics create --host node1 --host node2"))
@plainly
def create_topics(
    host: Annotated[
        list[str] | None,
        typer.Option(help="Also create the topic of this host's work; may be repeated."),
    ] = None,
) -> None:
    """Create the topics that are missing, set their retention, write this version's schemas. Of a
    new site create its keys as well."""
    from chronova.connections import is_empty, make_keys, make_topics, open_site_log

    log = open_site_log(settings())
    try:
        if is_empty(log):
            make_keys(settings())  # before the topics: no role starts without
        for name in make_topics(settings(), log, host or ()) or ["all topics are there"]:
            out.print(name)
    finally:
        log.close()


def states(log: Log, wanted: list[Topic]) -> list[TopicState]:
    """Return the state of each of ``wanted``, in that order. Raises ``LogError``."""
    return [TopicState(each.name, _partitions(log, each), each.retention_ms) for each in wanted]


def _partitions(log: Log, topic: Topic) -> int | None:
    try:
        return log.partitions(topic.name)
    except TopicMismatch:
        return None


def _row(state: TopicState) -> dict[str, Any]:
    missing = state.partitions is None
    return {
        "topic": state.topic,
        "partitions": "missing" if missing else state.partitions,
        "retention": retention(state.retention_ms),
    }


def retention(milliseconds: int | None) -> str:
    """Return a retention in words: "for ever", "14 days", "1.0 hours"."""
    if milliseconds is None:
        return "for ever"
    if milliseconds % DAY_MS == 0:
        return f"{milliseconds // DAY_MS} days"
    return f"{milliseconds / 3_600_000:.1f} hours"

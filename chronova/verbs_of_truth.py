"""Verbs that check the truth and mend what is shown of it: the log's chain, set-aside rows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from chronova.cli import ADMINISTER, app, as_json, examples, fail, out, plainly, settings
from chronova.verbs import Json, projection, table_of

log = typer.Typer(help="Check that the log is unchanged.", no_args_is_help=True)
app.add_typer(log, name="log", rich_help_panel=ADMINISTER)


def _moment(text: str, option: str) -> int | None:
    """Microseconds since 1970 of an ISO 8601 text, in UTC where it names no zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} takes a moment like 2026-11-27T13:00:00, not {text!r}", 2)
        raise
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000_000)


@log.command(
    "verify",
    epilog=examples(
        "chronova log verify", "chronova log verify --from 2026-11-27T13:00:00 --to 2026-11-28"
    ),
)
@plainly
def log_verify(
    since: Annotated[str, typer.Option("--from", help="Time to begin at, ISO 8601, UTC.")] = "",
    until: Annotated[str, typer.Option("--to", help="Time to end at, ISO 8601, UTC.")] = "",
    json: Json = False,
) -> None:
    """Check the hash chain of every partition of events.

    Exit code 1 when a record does not fit the one before it. With --from the first event of each
    partition is not checked.
    """
    from chronova.connections import open_site_log
    from chronova.inspect import chain

    begin, end = _moment(since, "--from"), _moment(until, "--to")
    source = open_site_log(settings())
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    walked = []
    try:
        spans = chain.spans(source, begin, end)
        with Progress(
            *columns, console=out, disable=json or not out.is_terminal, transient=True
        ) as bar:
            total = sum(max(0, last - (first or 0)) for first, last in spans.values())
            task = bar.add_task("reading", total=total)
            for (topic, number), (first, last) in sorted(spans.items()):
                bar.update(task, description=f"{topic}/{number}")
                walked.append(
                    chain.verify(
                        source, (topic, number), first, last, lambda n: bar.advance(task, n)
                    )
                )
    finally:
        source.close()
    broken = [one for one in walked if one.offset is not None]
    if json:
        as_json({"sound": not broken, "partitions": walked})
    else:
        out.print(table_of([msgspec.structs.asdict(one) for one in walked if one.records]))
        events = sum(one.events for one in walked)
        told = "some do not fit" if broken else "each follows the one before it"
        out.print(f"\n{events:,} events in {len(walked)} partitions: {told}")
    if broken:
        raise typer.Exit(1)


@projection.command("heal")
@plainly
def projection_heal(json: Json = False) -> None:
    """Make the rows of aggregates that were set aside again from the log.

    Exit code 1 when some rows still cannot be made.
    """
    from chronova.connections import open_site_log
    from chronova.domains import load_projections
    from projections.heal import heal

    load_projections()
    source = open_site_log(settings())
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    try:
        with Progress(
            *columns, console=out, disable=json or not out.is_terminal, transient=True
        ) as bar:
            task = bar.add_task("reading")
            read = [0]

            def show(events: int) -> None:
                read[0] += events
                bar.update(task, description=f"{read[0]:,} events read")

            done = heal(source, settings().database_url, show)
    finally:
        source.close()
    if json:
        as_json(done)
    else:
        for name in done.healed:
            out.print(f"{name} is right again")
        for note in done.left:
            out.print(f"{note.aggregate}/{note.id[:100]} is still set aside: {note.error}")
        if not (done.healed or done.left):
            out.print("nothing is set aside")
    if done.left:
        raise typer.Exit(1)


@projection.command("verify")
@plainly
def projection_verify(json: Json = False) -> None:
    """Compare the live tables with tables made from the log for this check.

    Exit code 1 when a row differs.
    """
    from chronova.connections import open_site_log
    from chronova.domains import load_projections
    from projections.verify import verify

    load_projections()
    log = open_site_log(settings())
    began = time.perf_counter()
    try:
        found = verify(log, settings().database_url)
    finally:
        log.close()
    if json:
        as_json({"equal": found.equal, **msgspec.structs.asdict(found)})
    else:
        out.print(
            table_of(
                [
                    {
                        "table": table.table,
                        "rows": table.rows,
                        "checksum": f"{int(table.checksum) % 2**64:016x}",
                        "differing": ", ".join(table.differing) or "none",
                    }
                    for table in found.tables
                ]
            )
        )
        seconds = time.perf_counter() - began
        out.print(f"\nbuild {found.build}: {found.events:,} events folded in {seconds:.1f} s")
        for text in (*found.set_aside, *found.broken):
            out.print(text)
    if not found.equal:
        raise typer.Exit(1)

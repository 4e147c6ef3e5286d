"""Verbs that look: status, services, tap, trace, explain, and the projection's own."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from chronova.cli import (
    ADMINISTER,
    INSPECT,
    State,
    app,
    as_json,
    examples,
    fail,
    out,
    plainly,
    settings,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

service = typer.Typer(help="Show the compute services.", no_args_is_help=True)
projection = typer.Typer(help="Show, check, rebuild and repair the tables that answer reads.")
app.add_typer(service, name="service", rich_help_panel=INSPECT)
app.add_typer(projection, name="projection", no_args_is_help=True, rich_help_panel=ADMINISTER)


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Rows with the same keys as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def moment(seconds: float | None) -> str:
    """Return a moment as people read it, in UTC; nothing for never."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def tables() -> Any:
    """Return an engine of the site's live tables."""
    from chronova.domains import load_projections
    from projections.live import engine

    load_projections()
    return engine(settings().database_url, 2)


@app.command(rich_help_panel=INSPECT)
@plainly
def status(json: Json = False) -> None:
    """Show how the site is: processes, log, API and projections.

    Exit code 1 when the log or the API does not answer.
    """
    from chronova import broker_access
    from chronova.domains import load_projections
    from chronova.inspect import state

    load_projections()
    site = settings()
    processes = state.processes(site)
    log, api = state.log_state(site), state.api_state(site)
    lag = state.lag(site) if log["answers"] else []
    level = state.levels(site) if log["answers"] else {}
    if json:
        log |= {"broker": broker_access.addresses(site).strip(), "registry": f"{site.url}/registry"}
        as_json({"processes": processes, "log": log, "api": api, "projection": lag, "level": level})
    else:
        out.print(table_of(processes))
        out.print(f"\nlog  {log['log']}{broker_access.addresses(site)}: {_answer(log)}")
        out.print(f"api  {api['api']}: {_answer(api)}\nregistry  {site.url}/registry")
        for line in broker_access.lines(site):
            out.print(line, markup=False)
        for line in _level_lines(level):
            out.print(line, markup=False)
        out.print()
        out.print(table_of(lag))
    if not (log["answers"] and api["answers"]):
        raise typer.Exit(1)


def _level_lines(level: dict[str, Any]) -> list[str]:
    if not level:
        return []
    known = "" if level["known"] == level["enabled"] else f", this version knows {level['known']}"
    return [
        f"feature level  {level['enabled']}{known}",
        *(f"  held back by {name}" for name in level["held_back_by"]),
        *(f"  refused as too old: {name}" for name in level["refused"]),
    ]


def _answer(state: dict[str, Any]) -> str:
    if not state["answers"]:
        return f"does not answer ({state['reason']})"
    return f"answers in {state['ms']} ms" if "ms" in state else "answers"


@app.command(rich_help_panel=INSPECT)
@plainly
def doctor(json: Json = False) -> None:
    """Examine the site and say what to do about each fault found.

    Exit code 1 when a check failed.
    """
    from chronova.doctor.examination import examine
    from chronova.doctor.finding import is_sound

    marks = {"ok": "[green]ok[/green]     ", "warning": "[yellow]warning[/yellow]"}
    findings = []
    for finding in examine(State.data):
        findings.append(finding)
        if not json:
            mark = marks.get(finding.verdict, "[red]failed[/red] ")
            out.print(f"{mark}  {finding.check}: {escape(finding.seen)}", markup=True)
            if finding.verdict != "ok":
                out.print(f"         → {escape(finding.advice)}", markup=True)
    if json:
        as_json({"sound": is_sound(findings), "findings": findings})
    if not is_sound(findings):
        raise typer.Exit(1)


@service.command("list")
@plainly
def service_list(json: Json = False) -> None:
    """List the compute services: enabled or disabled, up or down."""
    from chronova.inspect import state

    rows = state.services(tables(), settings())
    if json:
        as_json(rows)
    else:
        out.print(table_of(rows))


@app.command(
    rich_help_panel=INSPECT,
    epilog=examples(
        "chronova tap --from-start --no-follow --type HostSelected",
        "chronova tap --kind commands --kind reports",
        "chronova tap --request req-742ec785-05f3-45a6-aa7f-3afb8fb8afb2 --from-start",
    ),
)
@plainly
def tap(
    server: Annotated[str, typer.Option(help="Only records of the server with this id.")] = "",
    project: Annotated[str, typer.Option(help="Only records of the project with this id.")] = "",
    type: Annotated[str, typer.Option(help="Only records of this type, e.g. HostSelected.")] = "",
    request: Annotated[str, typer.Option(help="Only records of the request with this id.")] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(help="commands, reports, events, refusals or dispatch; may be repeated."),
    ] = None,
    from_start: Annotated[
        bool, typer.Option(help="Begin with the first record of the log.")
    ] = False,
    follow: Annotated[bool, typer.Option(help="Wait for new records at the end.")] = True,
    json: Json = False,
) -> None:
    """Print the records of the log, decoded, as they are written. Ctrl-C ends."""
    from chronova.connections import open_site_log
    from chronova.domains import load_messages
    from chronova.inspect import tap as taps
    from chronova.inspect.state import known_hosts

    load_messages()
    kinds = kind or ["events", "refusals"]
    if unknown := [k for k in kinds if k not in taps.KINDS]:
        fail(f"there is no kind {unknown[0]!r}: {', '.join(taps.KINDS)}", 2)
    log = open_site_log(settings())
    wanted = taps.Wanted(server=server, project=project, type=type, request=request)
    names = taps.topic_names(kinds, known_hosts(settings()) if "dispatch" in kinds else ())
    try:
        for shown in taps.tap(log, wanted, names, from_start, follow, lambda: False):
            if json:
                as_json(shown)
                sys.stdout.flush()
            else:
                place = f"{shown['topic']}/{shown['partition']}@{shown['offset']}"
                body = msgspec.json.encode(shown["body"]).decode()
                out.print(
                    f"[dim]{shown['time']} {place}[/dim] [bold]{shown['type']}[/bold]"
                    f" {shown['subject']}\n    {body}",
                    markup=True,
                )
    finally:
        log.close()


@app.command(
    rich_help_panel=INSPECT,
    epilog=examples(
        "chronova trace vm1",
        "chronova trace vm1 --format mermaid > vm1.mmd",
        "chronova trace req-742ec785-05f3-45a6-aa7f-3afb8fb8afb2",
    ),
)
@plainly
def trace(
    subject: Annotated[str, typer.Argument(help="A server's id or name, or a request's id.")],
    format: Annotated[str, typer.Option(help="Output: text, mermaid or json.")] = "text",
    json: Json = False,
) -> None:
    """Show what happened to a server or in a request, as a sequence of the recorded events."""
    from chronova.connections import open_site_log
    from chronova.domains import load_messages
    from chronova.inspect import trace as traces
    from chronova.inspect.refused import request_story
    from chronova.inspect.story import resolve, story

    load_messages()
    if format not in ("text", "mermaid", "json"):
        fail(f"there is no format {format!r}: text, mermaid or json", 2)
    engine = tables()
    subject = resolve(engine, subject)
    if subject.startswith("req-"):
        log = open_site_log(settings())
        try:
            steps = request_story(engine, log, subject, settings().refusals_retention_s)
        finally:
            log.close()
    else:
        steps = story(engine, subject)
    if json or format == "json":
        as_json(steps)
    elif format == "mermaid":
        sys.stdout.write(traces.mermaid(steps))
    else:
        traces.text(steps, out)


@app.command(
    rich_help_panel=INSPECT, epilog=examples("chronova explain vm1", "chronova explain vm1 --json")
)
@plainly
def explain(
    server: Annotated[str, typer.Argument(help="A server's id or name.")], json: Json = False
) -> None:
    """Show why the scheduler chose a server's host, or why it found none."""
    from chronova.domains import load_messages
    from chronova.inspect import explain as explaining
    from chronova.inspect.story import resolve, story

    load_messages()
    engine = tables()
    steps = story(engine, resolve(engine, server))
    if json:
        as_json(explaining.decisions(steps))
    else:
        explaining.show(steps, out)


@projection.command("status")
@plainly
def projection_status(json: Json = False) -> None:
    """Show the builds of the tables, and how far the live one has read in each partition."""
    from chronova.domains import load_projections
    from chronova.inspect import state
    from projections import aside, builds
    from projections.connection import connect
    from projections.model import read_model

    load_projections()
    connection = connect(settings().database_url, "status")
    try:
        builds.install(connection)
        known = [msgspec.structs.asdict(build) for build in builds.builds(connection)]
        live = builds.live_build(connection)
        readable = live is not None and live.version == read_model().version()
        notes = aside.notes(connection, builds.LIVE_SCHEMA) if readable else []
        waiting = aside.waiting(connection, builds.LIVE_SCHEMA) if readable else []
    finally:
        connection.close()
    lag = state.lag(settings())
    if json:
        as_json({"builds": known, "partitions": lag, "set_aside": notes, "waiting": waiting})
    else:
        out.print(
            table_of(
                [
                    {
                        "build": build["build"],
                        "state": build["state"],
                        "version": build["version"][:12],
                        "made (UTC)": moment(build["created_at"]),
                        "live since (UTC)": moment(build["switched_at"]),
                    }
                    for build in known
                ]
            )
        )
        out.print("")
        out.print(table_of(lag))
        for one in waiting:
            out.print(f"{one.topic}/{one.partition} waits: {one.error}")
        for note in notes:
            name = f"{note.aggregate}/{note.id[:100]}"
            out.print(f"{name} is set aside since {note.event}: {note.error}")


@projection.command("rebuild")
@plainly
def projection_rebuild(json: Json = False) -> None:
    """Rebuild all tables beside the live ones, compare them, and switch to the new ones.

    Reads go on from the old tables meanwhile. After Ctrl-C the next rebuild continues.
    """
    from chronova.connections import open_another_log, open_site_log
    from chronova.domains import load_projections
    from projections.rebuild import Progress as Reached
    from projections.rebuild import rebuild

    load_projections()
    log = open_site_log(settings())
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=out, disable=json, transient=False) as bar:
            task = bar.add_task("reading", total=None, rate="")

            def show(reached: Reached) -> None:
                bar.update(
                    task,
                    description=reached.phase,
                    completed=reached.events,
                    total=max(reached.total, reached.events) or None,
                    rate=f"{reached.rate:,.0f} events/s",
                )

            opener = partial(open_another_log, settings())
            result = rebuild(log, settings().database_url, show, opener)
    finally:
        log.close()
    if result is None:
        fail("the rebuild was interrupted; the next one goes on from there", 130)
    elif json:
        as_json(result)
    else:
        rate = result.read / result.seconds if result.seconds else 0
        out.print(
            f"Build {result.build} is live: {result.events:,} events"
            f" in {result.seconds:.1f} s ({rate:,.0f}/s)"
        )
        for table, rows in (result.differing or {}).items():
            if rows:
                out.print(f"  {rows} rows of {table} were otherwise before")
        if result.set_aside:
            out.print(f"  {result.set_aside} aggregates are set aside: chronova projection status")
        for reason in result.waiting:
            out.print(f"  a partition waits: {reason}")

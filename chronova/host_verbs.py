"""Verbs about compute hosts: guests that the log does not know, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from chronova.cli import ADMINISTER, app, as_json, examples, fail, out, plainly, settings
from chronova.verbs import Json, moment, table_of, tables
from events.compute.unknown_guest import UnknownGuest
from events.message import Command

ANSWER_S = 15.0

host = typer.Typer(
    help="Manage guests on compute hosts that the log does not know.", no_args_is_help=True
)
unknown = typer.Typer()
app.add_typer(host, name="host", rich_help_panel=ADMINISTER)
host.add_typer(unknown, name="unknown-guests")

HostName = Annotated[str, typer.Argument(help="Name of the host.")]
ServerId = Annotated[str, typer.Argument(help="Id of the server that the guest belongs to.")]


@unknown.callback(
    invoke_without_command=True,
    epilog=examples(
        "chronova host unknown-guests",
        "chronova host unknown-guests remove node1 5fd4ab54-6f3c-44c6-b9a6-1ee5ca6c3f04",
    ),
)
@plainly
def unknown_guests(context: typer.Context, json: Json = False) -> None:
    """List the guests on hosts that the log does not know. They keep running."""
    if context.invoked_subcommand is not None:
        return
    from projections.compute.unknown_guests import list_unknown_guests

    found = list_unknown_guests(tables())
    if json:
        as_json([msgspec.structs.asdict(guest) for guest in found])
    elif not found:
        out.print("There are no guests that the log does not know.")
    else:
        out.print(table_of([_row(guest) for guest in found]))


@unknown.command("adopt")
@plainly
def adopt(host_name: HostName, server_id: ServerId) -> None:
    """Give a guest back to its server: the server is placed on that host again.

    The server must exist.
    """
    from commands.compute.unknown_guest import AdoptGuest

    guest = _found(host_name, server_id)
    _decide(AdoptGuest(host=host_name, server_id=server_id), guest)
    out.print(f"Server {server_id} takes its guest on {host_name}: chronova trace {server_id}")


@unknown.command("remove")
@plainly
def remove(
    host_name: HostName,
    server_id: ServerId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a guest and its disks from its host. This cannot be undone."""
    from commands.compute.unknown_guest import RemoveUnknownGuest

    guest = _found(host_name, server_id)
    if not yes:
        typer.confirm(f"Remove guest {server_id} on {host_name} with its disks?", abort=True)
    _decide(RemoveUnknownGuest(host=host_name, server_id=server_id), guest)
    out.print(f"{host_name} is told to remove guest {server_id} with its disks.")


def _row(guest: UnknownGuest) -> dict[str, Any]:
    return {
        "host": guest.host,
        "server": guest.server_id,
        "project": guest.project_id,
        "found (UTC)": moment(guest.found_at / 1e6),
        "removing": guest.removing,
        "why": guest.reason,
    }


def _found(host_name: str, server_id: str) -> UnknownGuest:
    from projections.compute.unknown_guests import find_unknown_guest

    guest = find_unknown_guest(tables(), host_name, server_id)
    if guest is None:
        fail(f"no unknown guest {server_id} is on {host_name}: chronova host unknown-guests", 2)
        raise AssertionError
    return guest


def _decide(command: Command, guest: UnknownGuest) -> None:
    """Send the command and wait for its decision."""
    from chronova.connections import open_site_log
    from chronova.question import Question
    from events.outcome import CommandRefused

    log = open_site_log(settings())
    try:
        for event in Question(log, command, guest.project_id).answer(ANSWER_S):
            if isinstance(event, CommandRefused):
                fail(event.detail)
    finally:
        log.close()

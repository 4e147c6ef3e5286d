"""The command line: one verb, one small function; the work is done elsewhere.

A mistake is one sentence on stderr: exit code 2 for wrong input, 1 for what went wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from typer.exceptions import TyperException

from chronova import settings as site_settings
from chronova.settings import NoSite, Settings, SettingsError

app = typer.Typer(
    help="Chronova: an event-sourced compute control plane that speaks OpenStack Nova's API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True, highlight=False)

F = TypeVar("F", bound=Callable[..., Any])


class State:
    """What the common options said."""

    data = ".chronova"


def fail(sentence: str, code: int = 1) -> None:
    """One sentence on stderr, then the end."""
    sys.stderr.write(f"chronova: {sentence}\n")
    raise typer.Exit(code)


def plainly(function: F) -> F:
    """Turn what may be expected to go wrong into one sentence and an exit code."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        from chronova.failures import EXPECTED, sentence

        try:
            return function(*args, **kwargs)
        except SettingsError as error:
            fail(str(error), 2)
        except EXPECTED as error:
            fail(sentence(error))
        except KeyboardInterrupt:
            fail("interrupted", 130)

    return run  # type: ignore[return-value]


@app.callback()
def common(
    data: Annotated[
        str, typer.Option(help="Folder of the site.", envvar="CHRONOVA_DATA")
    ] = ".chronova",
) -> None:
    """Chronova: an event-sourced compute control plane that speaks OpenStack Nova's API."""
    State.data = data


def settings() -> Settings:
    """The settings of the site that is meant. Raises ``NoSite``."""
    return site_settings.of_site(State.data)


@app.command()
@plainly
def up(
    log: Annotated[str, typer.Option(help="postgres or kafka.")] = "",
    kafka: Annotated[str, typer.Option(help="host:port of a broker; else one is started.")] = "",
    database: Annotated[str, typer.Option(help="Address of a Postgres; else embedded.")] = "",
    driver: Annotated[str, typer.Option(help="auto, libvirt or simulated.")] = "",
    hosts: Annotated[int | None, typer.Option(help="Compute hosts; several are simulated.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API.")] = None,
) -> None:
    """Start everything on this machine, wait for it, print where it is."""
    from chronova import starting

    starting.up(State.data, log, kafka, database, driver, hosts, port, out)


@app.command()
@plainly
def down() -> None:
    """End what `up` started; the data stays."""
    from chronova import site

    with _no_site_is_fine():
        site.down(settings(), out.print)


@app.command()
@plainly
def reset() -> None:
    """End everything and forget the data."""
    from chronova import site

    with _no_site_is_fine():
        site.reset(settings(), out.print)


@contextmanager
def _no_site_is_fine() -> Iterator[None]:
    """For verbs that end something: there is nothing to end."""
    try:
        yield
    except NoSite as error:
        out.print(str(error))


@app.command()
@plainly
def broker() -> None:
    """Start a development broker in the folder, without a site; `up --log kafka` takes it over."""
    from chronova import broker_access

    broker_access.start(Path(State.data), out.print)


@app.command()
@plainly
def serve(role: Annotated[str, typer.Argument(help="api, decider, projector or agent.")]) -> None:
    """Run one role in the foreground."""
    from importlib import import_module

    from chronova import journal, modes

    if role not in ("api", "decider", "projector", "agent"):
        fail(f"there is no role {role!r}: api, decider, projector or agent", 2)
    journal.begin(role)
    modes.begin(settings(), role)
    import_module(f"chronova.roles.{role}").serve(settings())


@app.command(hidden=True)
@plainly
def supervise() -> None:
    """Keep the roles of this machine running."""
    from chronova.supervisor import Supervisor

    Supervisor(settings()).run()


@app.command()
@plainly
def topics(
    host: Annotated[
        list[str] | None, typer.Option(help="Also this host's own; may be repeated.")
    ] = None,
) -> None:
    """Make the topics that are missing, with their settings; of a new site also its keys."""
    from chronova.connections import is_empty, make_keys, make_topics, open_site_log

    log = open_site_log(settings())
    try:
        if is_empty(log):
            make_keys(settings())  # before the topics: no role starts without
        for name in make_topics(settings(), log, host or ()) or ["all topics are there"]:
            out.print(name)
    finally:
        log.close()


@app.command()
@plainly
def bootstrap() -> None:
    """Give a site whose roles are started by something else its first users, flavors and image."""
    from chronova import site

    known = site.prepare(settings(), out.print)
    site.furnish(settings(), known, out.print)
    out.print(f"The site is ready: {settings().data_path / 'clouds.yaml'}")


@app.command()
@plainly
def backup(folder: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Copy the site to a folder that can be brought up as it is (`chronova --data FOLDER up`)."""
    from chronova import backup as copies

    copies.backup(settings(), folder, out.print)


@app.command()
@plainly
def moved() -> None:
    """Say that this folder was moved and is no copy, where `up` refuses it."""
    from chronova import site_id

    site_id.moved(settings())


admin = typer.Typer(help="The cloud's administrator.", no_args_is_help=True)
app.add_typer(admin, name="admin")


@admin.command("reset-password")
@plainly
def reset_password() -> None:
    """Let the user admin in again: a new password (or CHRONOVA_ADMIN_PASSWORD), enabled, its roles.

    Needs a site that runs, and no password: it goes through the log.
    """
    from chronova import bootstrap, credentials

    password = credentials.new_password()
    bootstrap.reset_admin(settings(), password)
    demo = credentials.read(settings()).demo
    credentials.write(settings(), credentials.Credentials(password, demo))
    out.print(f"The admin's new password is in {credentials.clouds_file(settings())}")


@app.command()
@plainly
def acls(
    role: Annotated[str, typer.Argument(help="api, decider, projector, agent or admin.")],
    principal: Annotated[str, typer.Option(help="User the role logs in as.")] = "",
    host: Annotated[str, typer.Option(help="For agent: the host's name.")] = "",
    brokers: Annotated[str, typer.Option(help="host:port,…")] = "kafka1:9092",
) -> None:
    """Print the commands that allow a role on Kafka what it needs, and no more."""
    from chronova import acls as rules

    try:
        lines = rules.commands(principal or role, rules.acls(role, host), brokers)
    except ValueError as error:
        fail(str(error), 2)
    for line in lines:
        out.print(line)


def as_json(value: object) -> None:
    """Print for programs."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def main() -> None:
    """Entry point."""
    import chronova.host_verbs
    import chronova.verbs
    import chronova.verbs_of_truth  # noqa: F401 - they add their verbs to the app
    from chronova import modes

    modes.close()
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        sentence = error.format_message()
        sys.stderr.write(f"chronova: {sentence}\n" if sentence else "")
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)

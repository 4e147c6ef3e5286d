"""The command line: one verb, one small function; the work is done elsewhere.

``chronova --help`` shows the verbs in four groups (``RUN``, ``INSPECT``, ``ADMINISTER``,
``MACHINES``). A help text begins with an imperative verb; the examples under it are checked.

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

from chronova import __version__
from chronova import settings as site_settings
from chronova.settings import NoSite, Settings, SettingsError

RUN, INSPECT, ADMINISTER = "Run a site", "Inspect", "Administer"
MACHINES = "Run on several machines"


def examples(*lines: str) -> str:
    """Return the text below a verb's help: each line is a paragraph of its own."""
    return "\n\n".join(("Examples:", *(f"$ {line}" for line in lines)))


app = typer.Typer(
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


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"chronova {__version__}")
        raise typer.Exit


@app.callback(
    epilog=examples(
        "chronova up",
        "chronova status",
        "chronova trace vm1",
        "chronova --data /srv/cloud doctor",
    )
)
def common(
    data: Annotated[
        str, typer.Option(help="Folder that holds the site's data.", envvar="CHRONOVA_DATA")
    ] = ".chronova",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Chronova: an event-sourced compute control plane that speaks OpenStack Nova's API."""
    State.data = data


def settings() -> Settings:
    """The settings of the site that is meant. Raises ``NoSite``."""
    return site_settings.of_site(State.data)


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "chronova up",
        "chronova up --driver simulated --hosts 3",
        "chronova up --log kafka --kafka localhost:9092",
        "chronova --data copy up --port 8775",
    ),
)
@plainly
def up(
    log: Annotated[str, typer.Option(help="Where the log is kept: postgres or kafka.")] = "",
    kafka: Annotated[
        str, typer.Option(help="host:port of a Kafka broker. Default: start one.")
    ] = "",
    database: Annotated[
        str, typer.Option(help="Address of a Postgres server. Default: the embedded one.")
    ] = "",
    driver: Annotated[
        str, typer.Option(help="Hypervisor driver: auto, libvirt or simulated.")
    ] = "",
    hosts: Annotated[
        int | None, typer.Option(help="Number of compute hosts. More than one: simulated.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of all services.")] = None,
) -> None:
    """Start a site on this machine, wait until it is healthy, and print its endpoints."""
    from chronova import starting

    starting.up(State.data, log, kafka, database, driver, hosts, port, out)


@app.command(rich_help_panel=RUN)
@plainly
def down() -> None:
    """Stop the site and keep its data."""
    from chronova import site

    with _no_site_is_fine():
        site.down(settings(), out.print)


@app.command(rich_help_panel=RUN)
@plainly
def reset() -> None:
    """Stop the site and delete its data."""
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


@app.command(rich_help_panel=RUN)
@plainly
def broker() -> None:
    """Start a development broker without a site. `chronova up --log kafka` then uses it."""
    from chronova import broker_access

    broker_access.start(Path(State.data), out.print)


@app.command(rich_help_panel=MACHINES, epilog=examples("chronova serve decider"))
@plainly
def serve(
    role: Annotated[str, typer.Argument(help="Role to run: api, decider, projector or agent.")],
) -> None:
    """Run one role of the site in the foreground, as systemd units and containers do."""
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


@app.command(rich_help_panel=MACHINES)
@plainly
def bootstrap() -> None:
    """Create the first users, flavors and image of a site that systemd or containers run.

    Keys that are missing are created as well. Run it once; running it again changes nothing.
    """
    from chronova import site

    known = site.prepare(settings(), out.print)
    site.furnish(settings(), known, out.print)
    out.print(f"The site is ready: {settings().data_path / 'clouds.yaml'}")


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "chronova backup /srv/backups/monday", "chronova --data /srv/backups/monday up --port 8775"
    ),
)
@plainly
def backup(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """Copy the site to a new folder. The copy is a complete site that can be started.

    It holds no password in clear: in a copy that was started, `chronova admin reset-password`
    gives the admin a new one. It holds the site's keys: keep it as closed as the site.
    """
    from chronova import backup as copies

    copies.backup(settings(), folder, out.print)


@app.command(rich_help_panel=RUN)
@plainly
def moved() -> None:
    """Confirm that this folder was moved, not copied. `up` asks for it when it cannot tell."""
    from chronova import site_id

    site_id.moved(settings())


admin = typer.Typer(help="Restore the access of the cloud's administrator.", no_args_is_help=True)
app.add_typer(admin, name="admin", rich_help_panel=ADMINISTER)


@admin.command("reset-password")
@plainly
def reset_password() -> None:
    """Give the user admin a new password, enable it and give it its roles back.

    The password is CHRONOVA_ADMIN_PASSWORD, or else a random one. It is written to clouds.yaml and
    openrc. The site must run. No current password is needed: the change goes through the log.
    Where clouds.yaml holds no password of the user demo, as after a restore, demo gets a new one.
    """
    from chronova import bootstrap, credentials

    password, demo = credentials.new_password(), credentials.read(settings()).demo
    bootstrap.reset_admin(settings(), password)
    credentials.write(settings(), credentials.Credentials(password, demo))
    if not demo:
        demo = credentials.random_password()
        if bootstrap.reset_demo(settings(), password, demo):
            credentials.write(settings(), credentials.Credentials(password, demo))
    out.print(f"The admin's new password is in {credentials.clouds_file(settings())}")


@app.command(
    rich_help_panel=MACHINES,
    epilog=examples(
        "chronova acls decider --brokers kafka1:9092 | sh",
        "chronova acls agent --host node1 --principal host-node1",
    ),
)
@plainly
def acls(
    role: Annotated[str, typer.Argument(help="Role: api, decider, projector, agent or admin.")],
    principal: Annotated[
        str, typer.Option(help="Kafka user that the role logs in as. Default: the role's name.")
    ] = "",
    host: Annotated[str, typer.Option(help="Name of the compute host; for the agent only.")] = "",
    brokers: Annotated[
        str, typer.Option(help="Brokers to connect to, host:port,host:port.")
    ] = "kafka1:9092",
) -> None:
    """Print the kafka-acls.sh commands that give a role the access it needs to Kafka."""
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


def add_verbs() -> None:
    """Import the modules that add their verbs to the app."""
    import chronova.host_verbs
    import chronova.topic_verbs
    import chronova.verbs
    import chronova.verbs_of_truth  # noqa: F401


def main() -> None:
    """Run the command line. Exit codes: 0, 1 for a failure, 2 for wrong input, 130 interrupted."""
    add_verbs()
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

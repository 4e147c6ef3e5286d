"""What happened to a server, or in a request: its events from the history, over all domains.

Read from the read models' ``history``, where each event lies with its headers. Who told whom
follows from the causation ids alone: an event's cause is a command, and the command's id says
where it came from (a reaction to an event, a host's report, a client, a deadline).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine, Row, or_, select

from events.log.records import Codec
from events.message import Event
from projections.history import HISTORY

H = HISTORY.c

EVENTS_MAX = 10_000

_REACTION = re.compile(r"^(?P<domain>\w+)\.events/\d+/\d+>\d+$")
_REPORT = re.compile(r"^\w+\.events/\d+/\d+>\d+:(?P<report>[\w.]+)$")

SYSTEM = "Clock"
CLIENT = "API"
HOST = "Host"
DECIDERS = {"compute": "Compute", "fleet": "Scheduler", "identity": "Identity", "image": "Image"}


class UnknownSubject(Exception):
    """No server and no request has that id in the history; the text says so."""


class Step(msgspec.Struct, frozen=True):
    """One event, and who told whom: ``sender`` made the command that ``decider`` decided."""

    time: int
    domain: str
    position: str
    type: str
    subject: str
    sequence: int
    request_id: str
    causation_id: str
    user_id: str
    project_id: str
    sender: str
    decider: str
    fields: dict[str, object]


def story(engine: Engine, subject: str) -> list[Step]:
    """All events of the requests that touched a server, or of one request, in order of time.

    Raises ``UnknownSubject``.
    """
    with engine.connect() as connection:
        if subject.startswith("req-"):
            condition = H.request_id == subject
        else:
            own = select(H.request_id).where(
                H.aggregate == "server", H.aggregate_id == subject, H.request_id != ""
            )
            condition = or_(H.request_id.in_(own), H.aggregate_id == subject)
        ordered = select(HISTORY).where(condition).order_by(H.time, H.domain, H.position)
        rows = connection.execute(ordered.limit(EVENTS_MAX)).all()
    if not rows:
        raise UnknownSubject(f"nothing in the history has the id {subject}")
    codec = Codec()
    steps = _causes_first([_step(row, codec) for row in rows])
    return steps if subject.startswith("req-") else [s for s in steps if _about(s, subject)]


def _causes_first(steps: Sequence[Step]) -> list[Step]:
    """What was decided at once has one time: each event stands after the one it follows from."""
    known = {step.position: step for step in steps}
    placed: dict[str, Step] = {}
    for step in steps:
        chain: list[Step] = []
        one: Step | None = step
        while one is not None and one.position not in placed and one not in chain:
            chain.append(one)
            one = known.get(one.causation_id.partition(">")[0])
        placed.update((each.position, each) for each in reversed(chain))
    return list(placed.values())


def _about(step: Step, server_id: str) -> bool:
    """A request for many servers touches others too: leave those out."""
    named = step.fields.get("server_id")
    listed = step.fields.get("server_ids")
    if isinstance(listed, list):
        return server_id in listed
    return named is None or named == server_id


def _step(row: Row[tuple[object, ...]], codec: Codec) -> Step:
    event = codec.decode(bytes(row.body))
    assert isinstance(event, Event)
    fields = msgspec.to_builtins(event)
    return Step(
        time=row.time,
        domain=row.domain,
        position=f"{row.domain}.events/{row.partition}/{row.position}",
        type=row.type.partition(".")[2],
        subject=f"{row.aggregate}/{row.aggregate_id}",
        sequence=row.sequence,
        request_id=row.request_id,
        causation_id=row.causation_id,
        user_id=row.user_id,
        project_id=row.project_id,
        sender=sender_of(row.causation_id),
        decider=DECIDERS.get(row.domain, row.domain),
        fields=fields,
    )


def sender_of(causation_id: str) -> str:
    """Return who made the command with this id."""
    if _REPORT.match(causation_id):
        return HOST
    reaction = _REACTION.match(causation_id)
    if reaction is not None:
        return DECIDERS.get(reaction["domain"], reaction["domain"])
    return SYSTEM if causation_id.startswith("overdue:") else CLIENT


def resolve(engine: Engine, name: str) -> str:
    """The id of a server by id or name, or a request id as it is.

    Of servers with that name the one that lives, else the one that was made last. Raises
    ``UnknownSubject``.
    """
    from projections.compute.servers import SERVERS

    if name.startswith("req-"):
        return name
    s = SERVERS.c
    found = select(s.id, s.deleted).where(or_(s.id == name, s.name == name))
    with engine.connect() as connection:
        rows = connection.execute(found.order_by(s.created_at.desc())).all()
    if not rows:
        raise UnknownSubject(f"no server is called {name}")
    live = [str(row.id) for row in rows if not row.deleted]
    if len(live) > 1:
        raise UnknownSubject(f"{len(live)} servers are called {name}: {', '.join(live)}")
    return live[0] if live else str(rows[0].id)

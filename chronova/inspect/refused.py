"""What was refused in a request: read from the log itself, as long as it keeps refusals.

Refusals lie in no table: a topic of them may be long, and few of them are ever looked for. One
that did not count, because its decider ended before the commit, has a successor of the same
command; the last one is shown.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from chronova.inspect.story import DECIDERS, Step, UnknownSubject, sender_of, story
from chronova.inspect.tap import Wanted, tap, topic_names
from events.log.contract import Log
from events.log.records import instant


def request_story(engine: Engine, log: Log, request_id: str, kept_s: int) -> list[Step]:
    """Return all events of a request, what was refused among them, in order of time. ``kept_s``:
    how long refusals are kept. Raises ``UnknownSubject``."""
    refused = refused_in(log, request_id)
    try:
        steps = story(engine, request_id)
    except UnknownSubject as error:
        if not refused:
            days = f"{kept_s / 86_400:g} days"
            raise UnknownSubject(
                f"{error}; a refusal older than {days} is no longer kept"
            ) from error
        return refused
    return sorted([*steps, *refused], key=lambda step: step.time) if refused else steps


def refused_in(log: Log, request_id: str) -> list[Step]:
    """Return what was refused in a request and is still kept, in order of time."""
    names = topic_names(["refusals"])
    found: dict[str, Step] = {}
    for shown in tap(log, Wanted(request=request_id), names, True, False, lambda: False):
        step = _step(shown)
        found[step.causation_id] = step
    return sorted(found.values(), key=lambda step: step.time)


def _step(shown: dict[str, Any]) -> Step:
    domain, h = shown["topic"].partition(".")[0], shown["headers"]
    return Step(
        time=instant(h["ce_time"]),
        domain=domain,
        position=f"{shown['topic']}/{shown['partition']}/{shown['offset']}",
        type=shown["type"].partition(".")[2],
        subject=shown["subject"],
        sequence=1,
        request_id=shown["request_id"],
        causation_id=h.get("ce_causationid", ""),
        user_id=h.get("ce_actoruser", ""),
        project_id=shown["project_id"],
        sender=sender_of(h.get("ce_causationid", "")),
        decider=DECIDERS.get(domain, domain),
        fields=shown["body"],
    )

"""Follow the log live: every record decoded, filtered by what one is looking for.

Of journals what counts is shown: late records of an old owner are passed over, and so are control
records unless their type is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from events import topics
from events.log.contract import EARLIEST, LATEST, Log, Record
from events.log.records import BadRecord, Codec
from events.log.terms import Terms, is_control
from events.message import UnknownMessage
from projections.instants import EPOCH
from schemas.catalog import UnknownSchema

KINDS = ("commands", "reports", "events", "refusals", "dispatch")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which records; empty: any."""

    server: str = ""
    project: str = ""
    type: str = ""
    request: str = ""


def tap(
    log: Log,
    wanted: Wanted,
    names: Sequence[str],
    from_start: bool,
    follow: bool,
    stopped: Callable[[], bool],
) -> Iterator[dict[str, Any]]:
    """Records of the topics ``names`` as plain values, oldest first in each partition; without
    ``follow`` until all that is there has been read."""
    start = EARLIEST if from_start or not follow else LATEST
    sources = {(name, p): start for name in names for p in range(log.partitions(name))}
    reader = log.reader(sources)
    codec = Codec()
    terms, journals = Terms(), {topics.events(domain) for domain in topics.DOMAINS}
    try:
        ends = None if follow else reader.ends()
        while not stopped():
            for record in reader.poll(0.5):
                if record.topic in journals and not terms.admits(record):
                    continue
                if is_control(record) and not wanted.type:
                    continue
                shown = show(record, codec)
                if matches(shown, wanted):
                    yield shown
            if ends is not None:
                positions = reader.positions()
                if all(positions[source] >= end for source, end in ends.items()):
                    return
    finally:
        reader.close()


def topic_names(kinds: Sequence[str], hosts: Sequence[str] = ()) -> list[str]:
    """The topics of these kinds, of all domains that have one; ``dispatch``: of ``hosts``."""
    known = {topic.name for topic in topics.all_topics()}
    wanted = [f"{domain}.{kind}" for kind in kinds for domain in topics.DOMAINS]
    own = [topics.dispatch(host) for host in hosts] if "dispatch" in kinds else []
    return [name for name in wanted if name in known] + own


def show(record: Record, codec: Codec) -> dict[str, Any]:
    """A record as plain values: where it lies, its envelope, its body."""
    try:
        body: Any = msgspec.to_builtins(codec.decode(record.value))
    except (BadRecord, UnknownMessage, UnknownSchema) as error:
        body = {"unreadable": str(error)}
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": (EPOCH + timedelta(microseconds=record.timestamp)).isoformat(),
        "key": record.key,
        "type": record.headers.get("ce_type", "").removeprefix("chronova."),
        "subject": record.headers.get("ce_subject", ""),
        "request_id": record.headers.get("ce_requestid", ""),
        "project_id": record.headers.get("ce_actorproject", ""),
        "headers": dict(record.headers),
        "body": body,
    }


def matches(shown: dict[str, Any], wanted: Wanted) -> bool:
    """Whether a record is one of those wanted."""
    body = shown["body"]
    if wanted.type and wanted.type not in (shown["type"], shown["type"].partition(".")[2]):
        return False
    if wanted.request and shown["request_id"] != wanted.request:
        return False
    if wanted.project and wanted.project not in (shown["project_id"], body.get("project_id")):
        return False
    return not wanted.server or wanted.server in (
        body.get("server_id"),
        shown["subject"].removeprefix("server/"),
        *(body.get("server_ids") or ()),
    )

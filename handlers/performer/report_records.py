"""The records in which a performer's reports are written."""

from __future__ import annotations

from collections.abc import Callable

from events import topics
from events.host_proof import Proofs
from events.log.contract import Outgoing
from events.log.records import Codec, headers
from events.message import Command, Context


class ReportRecords:
    """Makes them. ``name``: the agent's; ``proofs``: of who writes. From any thread."""

    def __init__(self, name: str, codec: Codec, clock: Callable[[], int], proofs: Proofs) -> None:
        self._source = f"/chronova/agent/{name}"
        self._codec = codec
        self._clock = clock
        self._proofs = proofs

    def of(self, report: Command, envelope: Context, key: str) -> Outgoing:
        """The record of a report in this envelope, to the partition of ``key``."""
        made = headers(envelope, report.type_name, self._source)
        topic = topics.reports(report.type_domain)
        return self._proofs.add(Outgoing(topic, key, self._codec.encode(report), made), report)

    def following(self, report: Command, cause: Context, id: str) -> Outgoing:
        """The record of a report about the work that ``cause`` came with."""
        key: str = getattr(report, "project_id", "") or cause.project_id
        return self.of(report, cause.follow(id, cause.id, self._clock()), key)

"""Signs of life on their way to the log: what each service appends every ``report_interval``."""

from __future__ import annotations

from events.fleet.heartbeat import Heartbeat
from events.host_proof import SITE
from events.log.contract import Outgoing
from events.log.records import Codec, headers
from events.message import Context
from events.topics import HEARTBEATS


def heartbeat_record(codec: Codec, beat: Heartbeat, id: str) -> Outgoing:
    """The record to append (``Log.append``) of a service that is no host's, with its proof; losing
    one harms nobody. ``id``: the record's."""
    context = Context(id=id, time=beat.at)
    made = headers(context, beat.type_name, f"/chronova/{beat.binary}/{beat.host}")
    return SITE.prove(Outgoing(HEARTBEATS, beat.host, codec.encode(beat), made))

"""Which site a log belongs to: the first record of the topic ``site``, written before all else.

The record is neither asked for nor decided: it lies in no domain, and no state follows from it.
"""

from __future__ import annotations

from typing import Annotated

from events.log.contract import Topic
from events.message import Instant, Message

TOPIC = Topic("site", 1)
"""Kept for ever; only its first record counts, so of two sites that begin on one log one wins."""


class SiteFounded(Message, frozen=True, kw_only=True):
    """A site began to use this log."""

    site_id: Annotated[str, "The site's id, a UUID; its data folder holds the same in site.json."]
    at: Instant

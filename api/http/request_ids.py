"""Every request has an id, and its answer says it.

``req.context.request_id`` is ours (``req-<uuid4>``); a client's own id, when it has that form,
is kept as ``global_request_id`` for the log only.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import falcon

GLOBAL_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RequestIds:
    """Middleware that names requests. First of all, so that every answer carries the id."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make the id and put it on the answer."""
        request_id = f"req-{uuid4()}"
        req.context.request_id = request_id
        resp.set_header("x-openstack-request-id", request_id)
        inbound = req.get_header("x-openstack-request-id")
        valid = inbound is not None and GLOBAL_ID.fullmatch(inbound)
        req.context.global_request_id = inbound if valid else ""


def request_id(req: falcon.Request) -> str:
    """The id of this request."""
    context: Any = req.context
    return str(context.request_id)

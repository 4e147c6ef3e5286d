"""Errors in Glance's form: what webob makes of them for a client that wants JSON.

Glance answers HTML to clients that do not ask for JSON; here they get JSON as well: every known
client reads the status first and shows ``message`` when it can.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson


def render_error(status: int, code: str, detail: str) -> tuple[bytes, str]:
    """``{"message", "code": "404 Not Found", "title": "Not Found"}``."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body = {
        "message": f"{detail}<br /><br />\n\n\n",
        "code": f"{status} {title}",
        "title": title,
    }
    return orjson.dumps(body), "application/json"

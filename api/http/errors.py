"""Errors in the form of the service they happen in.

A resource raises ``falcon.HTTPError`` (``description`` is the sentence, ``code`` the field's
error name if it has one), or lets the bus's ``Refused`` and ``Unavailable`` pass. What no one
expected is logged with its request id and answered as a 500 that says nothing of the inside.

A refusal says that nothing was changed. Where a command of the request was accepted before
(``accepted``), there is none any more: what was changed may be gone at once, or not show yet.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from traceback import format_exception

import falcon
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from api.bus import Refused, Unavailable
from api.http.rates import Limit, project_of
from api.http.request_ids import request_id
from events.bounds import OutOfBounds
from projections.connection import GONE
from projections.failures import ProjectionNotReady

NOT_SHOWN = "What was accepted before cannot be shown yet. Look again."
HALF_DONE = "The change was accepted, but cannot be shown now. Look again."
RETRY_AFTER_S = 1

Render = Callable[[int, str, str], tuple[bytes, str]]
"""``render_error(status, code, detail)`` gives the body and its content type."""

log = structlog.get_logger("api")

PHRASES = {
    404: "The resource could not be found.",
    405: "The method is not allowed for this resource.",
}
"""What is said where nobody said anything: routes that do not exist."""

AWAY = (OperationalError, InterfaceError, PoolExhausted, ProjectionNotReady, *GONE)
"""What reading the projections raises while they cannot be read: it passes."""

TRACEBACKS = "10/minute"
"""Written to the log, whatever is asked for: more of the same would fill the disk."""
TRACEBACK_CHARS_MAX = 20_000
PATH_CHARS_MAX = 500

APOLOGY = (
    "Unexpected API Error. Please report this to your operator with the request id {request_id}.\n"
    "{kind}"
)


def accepted(req: falcon.Request) -> None:
    """Note that a command of this request was accepted: from now on nothing is refused."""
    req.context.accepted = True


class Errors:
    """Turns exceptions into answers: ``renderers`` by the first segment of the path.

    ``unseen``: the projects of which something was accepted that does not show yet. What is not
    found for them may be just that.
    """

    def __init__(self, renderers: Mapping[str, Render], unseen: Container[str] = ()) -> None:
        self._renderers = renderers
        self._unseen = unseen
        self._tracebacks = Limit(TRACEBACKS)

    def install(self, app: falcon.App[falcon.Request, falcon.Response]) -> None:
        """Take over all error handling of ``app``."""
        app.add_error_handler(Exception, self._unexpected)
        app.add_error_handler(falcon.HTTPError, self._http_error)
        app.add_error_handler(Refused, self._refused)
        app.add_error_handler(OutOfBounds, self._out_of_bounds)
        app.add_error_handler(Unavailable, self._unavailable)
        app.add_error_handler(AWAY, self._unreadable)

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, status: int, code: str, detail: str
    ) -> None:
        mount = req.path.removeprefix("/").partition("/")[0]
        render = self._renderers.get(mount, _plain)
        resp.status = status
        resp.data, resp.content_type = render(status, code, detail)
        resp.text = None

    def _http_error(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: falcon.HTTPError,
        params: dict[str, object],
    ) -> None:
        if error.status_code == 404 and getattr(req.context, "accepted", False):
            return self._unavailable(req, resp, Unavailable(HALF_DONE, RETRY_AFTER_S), params)
        missing = error.status_code == 404 and not isinstance(error, falcon.HTTPRouteNotFound)
        if missing and project_of(req) in self._unseen:
            return self._unavailable(req, resp, Unavailable(NOT_SHOWN, RETRY_AFTER_S), params)
        for name, value in (error.headers or {}).items():  # type: ignore[union-attr]
            resp.set_header(name, value)
        detail = error.description or PHRASES.get(error.status_code) or error.title or ""
        code = error.code if isinstance(error.code, str) else ""
        self._answer(req, resp, error.status_code, code, detail)

    def _refused(
        self, req: falcon.Request, resp: falcon.Response, error: Refused, params: dict[str, object]
    ) -> None:
        req.context.refused = True  # counted, see api.http.rates
        if getattr(req.context, "accepted", False):
            return self._unavailable(req, resp, Unavailable(HALF_DONE, RETRY_AFTER_S), params)
        self._answer(req, resp, error.status, error.code, error.detail)

    def _out_of_bounds(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: OutOfBounds,
        params: dict[str, object],
    ) -> None:
        """A command that no record can hold, whichever resource made it."""
        self._answer(req, resp, 400, "badRequest", str(error))

    def _unavailable(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: Unavailable,
        params: dict[str, object],
    ) -> None:
        resp.set_header("Retry-After", str(error.retry_after_s))
        self._answer(req, resp, 503, "", error.detail)

    def _unreadable(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: Exception,
        params: dict[str, object],
    ) -> None:
        reason = " ".join(str(error).split())
        log.warning("projections away", request_id=request_id(req), path=req.path, reason=reason)
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
        detail = "The service cannot read its database at the moment; try again."
        self._answer(req, resp, 503, "", detail)

    def _unexpected(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: Exception,
        params: dict[str, object],
    ) -> None:
        log.error(
            "unexpected error",
            request_id=request_id(req),
            method=req.method,
            path=req.path[:PATH_CHARS_MAX],
            traceback=self._traceback(error),
        )
        detail = APOLOGY.format(request_id=request_id(req), kind=type(error))
        self._answer(req, resp, 500, "", detail)

    def _traceback(self, error: Exception) -> str:
        """A plain one, for locals may hold passwords; empty where there were too many lately."""
        if not self._tracebacks.count(""):
            return f"{type(error).__name__}: left out, more than {TRACEBACKS}"
        return "".join(format_exception(error))[-TRACEBACK_CHARS_MAX:]


def _plain(status: int, code: str, detail: str) -> tuple[bytes, str]:
    return detail.encode(), "text/plain; charset=utf-8"

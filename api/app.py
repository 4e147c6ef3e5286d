"""The WSGI application: all services under one root, each a package with the same two names.

A service package ``api.<name>`` offers ``routes(services)``, its (path, resource) pairs relative to
its mount ``/<name>``, and ``render_error(status, code, detail)``; optionally
``middleware(services)``, whose parts look at its own paths only. Adding a service is adding its
name here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

import falcon

from api.authentication import Authenticator
from api.http.authenticated import Authenticated, Authenticates
from api.http.errors import Errors
from api.http.observing import Observed
from api.http.rates import Rates
from api.http.request_ids import RequestIds
from api.services import Services

App = falcon.App[falcon.Request, falcon.Response]

SERVICES = ("identity", "compute", "image", "placement", "registry")


class Package(Protocol):
    """What a service package offers."""

    def routes(self, services: Services) -> Iterable[tuple[str, Any]]:
        """Path relative to the mount (``""`` for the mount itself) and resource."""

    def render_error(self, status: int, code: str, detail: str) -> tuple[bytes, str]:
        """An error's body and its content type."""


def create_app(
    services: Services,
    packages: Sequence[str] = SERVICES,
    authenticator: Authenticates | None = None,
    *,
    observed: Observed | None = None,
    roots: Mapping[str, Any] | None = None,
    unseen: Container[str] = (),
) -> App:
    """The application that serves ``packages``. ``authenticator``: who knows the tokens, if not
    our own identity service. ``observed``: who counts requests and tells of bad ones.
    ``roots``: resources that belong to no service, by path: health, figures. ``unseen``: see
    ``api.http.errors``."""
    mounted = {name: cast(Package, import_module(f"api.{name}")) for name in packages}
    own = [part for package in mounted.values() for part in _middleware(package, services)]
    knows = authenticator or Authenticator(services)
    authenticated = Authenticated(knows, services.settings.public_url)
    rates = Rates(services.settings.rates)
    seen = observed or Observed(packages)
    app: App = falcon.App(middleware=[RequestIds(), seen, *own, authenticated, rates])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    renderers = {name: package.render_error for name, package in mounted.items()}
    Errors(renderers, unseen).install(app)
    for name, package in mounted.items():
        for path, resource in package.routes(services):
            app.add_route(f"/{name}{path}", resource)
    for path, resource in (roots or {}).items():
        app.add_route(path, resource)
    return app


def _middleware(package: Any, services: Services) -> Iterable[Any]:
    make = getattr(package, "middleware", None)
    return make(services) if make else ()

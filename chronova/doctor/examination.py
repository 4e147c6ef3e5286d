"""The whole examination, from the settings on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from chronova.connections import open_site_log
from chronova.doctor import machine, records, strangers, tables
from chronova.doctor.finding import Finding, failed, ok
from chronova.domains import load_projections
from chronova.settings import Settings, SettingsError, load


def examine(data: str, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Findings as they are made. Wrong settings end it: nothing else could be told from them."""
    try:
        settings = load(data, environment)
    except SettingsError as error:
        yield failed("settings", str(error), "docs/settings.md lists them all")
        return
    yield ok("settings", "each is known and in range")
    load_projections()
    yield from machine.examine(settings)
    yield from strangers.examine(settings)
    yield from _site(settings)


def _site(settings: Settings) -> Iterator[Finding]:
    try:
        log = open_site_log(settings)
    except SettingsError as error:
        yield failed("log", str(error), "docs/settings.md lists them all")
        yield from tables.examine(settings, None)
        return
    try:
        found = list(records.examine(settings, log))
        yield from found
        answers = all(finding.check != "log" or finding.verdict != "failed" for finding in found)
        yield from tables.examine(settings, log if answers else None)
    finally:
        log.close()

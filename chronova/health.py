"""What ``/healthz`` of this site's API says."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

import msgspec

TIMEOUT_S = 5.0


class Part(msgspec.Struct, frozen=True):
    """One part's condition. ``degraded``: what it cannot do while it does all else."""

    ok: bool
    reason: str = ""
    degraded: str = ""
    figures: dict[str, object] = {}


class Health(msgspec.Struct, frozen=True):
    """The answer. ``status``: ``ok``, ``degraded``, ``ill``, or ``away`` when there was none."""

    status: str
    parts: dict[str, Part] = {}

    @property
    def serves(self) -> bool:
        """Whether the site works, if not for all."""
        return self.status in ("ok", "degraded")

    @property
    def degraded(self) -> str:
        """What the site cannot do while it does all else, in one line; empty when there is none."""
        parts = self.parts.items()
        return "; ".join(f"{name}: {part.degraded}" for name, part in parts if part.degraded)

    @property
    def hosts_up(self) -> int:
        """How many compute hosts are up."""
        part = self.parts.get("hosts")
        count = part.figures.get("up", 0) if part else 0
        return count if isinstance(count, int) else 0

    @property
    def reasons(self) -> str:
        """What is ill, and why, in one line."""
        if self.status == "away":
            return "the API does not answer"
        ill = [f"{name}: {part.reason}" for name, part in self.parts.items() if not part.ok]
        return "; ".join(ill) or "nothing is ill"


def ask(url: str) -> Health:
    """The health of the site whose API is at ``url``."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=TIMEOUT_S) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
    except (OSError, http.client.HTTPException):
        return Health("away")
    try:
        return msgspec.json.decode(body, type=Health)
    except msgspec.DecodeError:  # another program's
        return Health("away")

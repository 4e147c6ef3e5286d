"""Remove a guest and its files."""

from __future__ import annotations

from commands.compute.delete import RemoveGuest, ReportGuestRemoved, ReportRemovalFailed
from handlers.compute.performing import Hands, performs


def failed(work: RemoveGuest, hands: Hands, reason: str) -> None:
    """The guest could not be removed."""
    hands.report(ReportRemovalFailed, reason=reason)


@performs(RemoveGuest, failed)
def remove(work: RemoveGuest, hands: Hands) -> None:
    """Leaves nothing of the guest; a guest of a newer placement attempt is left alone."""
    present = hands.driver.generation(work.server_id)
    if present is None or present <= work.generation:
        hands.driver.ensure_absent(work.server_id)
    hands.report(ReportGuestRemoved)

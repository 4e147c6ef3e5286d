"""A deleted domain takes along what lies in it.

DomainDeleted → identity, in the domain's own partition: EmptyDomain → UserDeleted, GroupDeleted,
                ProjectDeleted, …
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.identity.domain import EmptyDomain
from events.identity.domain import Domain, DomainDeleted
from handlers.reaction import Follow, Send, reacts


@reacts(DomainDeleted)
def empty(event: DomainDeleted, domain: Domain) -> Iterator[Follow]:
    """The domain itself was decided in the partition of ``default``."""
    yield Send(EmptyDomain(domain_id=event.domain_id), key=event.domain_id)

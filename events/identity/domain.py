"""Domains: the namespaces of projects, users and groups. Partition key: ``default``."""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import msgspec

from events.aggregate import Aggregate, begun_by, register
from events.identity.terms import Description, DomainId, Extra, Name
from events.message import Event


class DomainCreated(Event, frozen=True, kw_only=True):
    """A domain exists from now on."""

    folds = (("domain", "domain_id"),)
    domain_id: DomainId
    domain_name: Name
    description: Description = None
    enabled: Annotated[bool, "Whether its users may authenticate."] = True
    extra: Extra = {}


class DomainRenamed(Event, frozen=True, kw_only=True):
    """A domain has another name."""

    folds = (("domain", "domain_id"),)
    domain_id: DomainId
    domain_name: Name


class DomainDescribed(Event, frozen=True, kw_only=True):
    """A domain's description or free properties are others now; both are given whole."""

    folds = (("domain", "domain_id"),)
    domain_id: DomainId
    description: Description = None
    extra: Extra = {}


class DomainEnabled(Event, frozen=True, kw_only=True):
    """A domain's users may authenticate again; tokens of before stay invalid."""

    folds = (("domain", "domain_id"),)
    domain_id: DomainId


class DomainDisabled(Event, frozen=True, kw_only=True):
    """No one of the domain may authenticate; all its tokens are invalid from this moment."""

    folds = (("domain", "domain_id"),)
    domain_id: DomainId


class DomainDeleted(Event, frozen=True, kw_only=True):
    """A domain is gone; its users, groups and projects follow."""

    folds = (("domain", "domain_id"),)
    domain_id: DomainId


DomainEvent = (
    DomainCreated | DomainRenamed | DomainDescribed | DomainEnabled | DomainDisabled | DomainDeleted
)


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """A domain. Tokens issued up to ``tokens_valid_from`` (microseconds) are invalid."""

    domain_id: str
    name: str
    description: str | None = None
    enabled: bool = True
    extra: dict[str, str] = {}
    tokens_valid_from: int = 0
    deleted: bool = False


@begun_by(DomainCreated)
def evolve(domain: Domain, event: DomainEvent) -> Domain:
    """The domain after ``event``."""
    change: dict[str, Any]
    match event:
        case DomainCreated():
            return Domain(
                domain_id=event.domain_id,
                name=event.domain_name,
                description=event.description,
                enabled=event.enabled,
                extra=event.extra,
            )
        case DomainRenamed():
            change = {"name": event.domain_name}
        case DomainDescribed():
            change = {"description": event.description, "extra": event.extra}
        case DomainEnabled():
            change = {"enabled": True}
        case DomainDisabled():
            change = {"enabled": False, "tokens_valid_from": event.at}
        case DomainDeleted():
            change = {"deleted": True}
        case _:
            assert_never(event)
    return msgspec.structs.replace(domain, **change)


register(Aggregate("domain", "identity", Domain, evolve, gone=lambda domain: domain.deleted))

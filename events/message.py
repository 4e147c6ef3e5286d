"""What every record's body is made of: events, commands, work for hosts, replies.

A message is an immutable value. Its class is its Avro schema: the field types give the
Avro types, the class docstring and the ``Annotated`` texts give the ``doc`` of each. Wire
names never change; a change of meaning is a new class. Every field has a bound, by its type or
by its kind (``events.bounds``).

A message's ``type_name`` is ``<domain>.<Class>``; the domain is the package the class lives in
(``events/compute/…`` and ``commands/compute/…`` are both ``compute``).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from events.bounds import INSTANT_MAX, INT4_MAX, INT8_MAX, KEY, TEXT, Bound

MOMENT = Bound(ge=0, le=INSTANT_MAX)

Instant = Annotated[int, MOMENT, "Moment, in microseconds since 1970-01-01T00:00:00Z."]
Amount = Annotated[int, Bound(ge=0, le=INT4_MAX)]
"""Of CPUs, MiB, GiB, servers."""
Large = Annotated[int, Bound(ge=0, le=INT8_MAX)]
"""A number of bytes, a position, a seed."""
Key = Annotated[str, KEY]
"""An id that is made of others' ids."""
Text = Annotated[str, TEXT]
"""Free text, in no index; a plain ``str`` is a name of 255 characters at most."""
ServerId = Annotated[str, "UUID of the server."]
ProjectId = Annotated[str, "Id of the project."]
UserId = Annotated[str, "Id of the user."]
HOST_NAME = Bound(pattern=r"\A[A-Za-z0-9._-]{1,200}\Z")
HostName = Annotated[str, HOST_NAME, "Name of the compute host."]
Generation = Annotated[
    int,
    Bound(ge=0, le=INT4_MAX),
    "Number of the placement attempt; reports of an older one no longer count.",
]
RequestId = Annotated[str, "Id of the request, req-<uuid>."]

MESSAGES: dict[str, type[Message]] = {}
"""Every message class by name; filled as the domain packages are imported."""


class UnknownMessage(Exception):
    """A name that no imported message class has."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all record bodies. Subclasses that set ``abstract`` are not records."""

    abstract: ClassVar[bool] = True
    type_name: ClassVar[str] = ""
    type_domain: ClassVar[str] = ""
    since_level: ClassVar[int] = 1
    """The feature level that has to be enabled before it is written (``events.features``)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__dict__.get("abstract"):
            return
        cls.abstract = False
        cls.type_domain = cls.__module__.split(".")[1]
        cls.type_name = f"{cls.type_domain}.{cls.__name__}"
        known = MESSAGES.setdefault(cls.type_name, cls)
        if known.__module__ != cls.__module__:
            raise TypeError(f"{cls.type_name}: both {known.__module__} and {cls.__module__}")

    def level_needed(self) -> int:
        """Return the feature level that this record needs. A type of which some values are younger
        than itself (a verb, a kind) says so here."""
        return self.since_level


class Event(Message, frozen=True, kw_only=True):
    """A fact. ``folds`` names the aggregates it changes and the field that holds each one's
    id; the first is its subject, whose history it belongs to."""

    abstract: ClassVar[bool] = True
    folds: ClassVar[tuple[tuple[str, str], ...]] = ()
    at: Instant

    @property
    def subject(self) -> tuple[str, str]:
        """Aggregate and id of whose history this is part. Only where ``folds`` is not empty: an
        event that changes no aggregate is part of its command's history."""
        aggregate, field = self.folds[0]
        return aggregate, getattr(self, field)


class Command(Message, frozen=True, kw_only=True):
    """A request to decide something. Reports of hosts are commands too (``from_hosts``): nothing
    else is decided that a host asks for."""

    abstract: ClassVar[bool] = True
    from_hosts: ClassVar[bool] = False


class Work(Message, frozen=True, kw_only=True):
    """What one host is to make true. Carries all that is needed: a host reads no database."""

    abstract: ClassVar[bool] = True


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A record's envelope: who asked, why, when. In the record's CloudEvents headers."""

    id: str
    """Unique id of this record."""
    time: Instant
    """When the sender made it, by its clock."""
    request_id: str = ""
    correlation_id: str = ""
    """Id of the record with which the whole story began."""
    causation_id: str = ""
    """Id of the record that led to this one."""
    user_id: str = ""
    project_id: str = ""
    traceparent: str = ""
    reply_to: str = ""
    """Partition of the replies topic that an answer is wanted in; empty: none."""

    def follow(self, id: str, cause: str, time: int) -> Context:
        """The envelope of a record that follows from this one."""
        return Context(
            id=id,
            time=time,
            request_id=self.request_id,
            correlation_id=self.correlation_id or self.id,
            causation_id=cause,
            user_id=self.user_id,
            project_id=self.project_id,
            traceparent=self.traceparent,
        )


M = TypeVar("M", bound=Message)


def message_class(name: str) -> type[Message]:
    """The class of that name. Raises ``UnknownMessage``."""
    try:
        return MESSAGES[name]
    except KeyError:
        raise UnknownMessage(f"no message is called {name!r}") from None

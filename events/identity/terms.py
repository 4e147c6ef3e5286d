"""The field types that several identity events share."""

from __future__ import annotations

from typing import Annotated

from events.message import Text

DomainId = Annotated[str, "Id of the domain: 32 hex digits, or 'default'."]
GroupId = Annotated[str, "Id of the group: 32 hex digits."]
RoleId = Annotated[str, "Id of the role: 32 hex digits."]
Name = Annotated[str, "Name, unique among its like in the domain (roles, domains: everywhere)."]
Description = Annotated[Text | None, "Free text of the owner; null when never set."]
Extra = Annotated[
    dict[str, str], "Properties that the API does not know, kept for the owner: JSON text by name."
]
PasswordHash = Annotated[
    str, "Argon2id hash in PHC string form; the password itself is in no record."
]

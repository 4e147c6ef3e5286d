"""The order of servers in lists, and where a page begins in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, false, func, or_, tuple_

from projections.compute.servers import SERVERS

C = SERVERS.c

SORTABLE: dict[str, ColumnElement[Any]] = {
    "access_ip_v4": C.access_ip_v4,
    "access_ip_v6": C.access_ip_v6,
    "auto_disk_config": C.disk_config,
    "availability_zone": C.availability_zone,
    "config_drive": C.config_drive,
    "created_at": C.created_at,
    "display_description": C.description,
    "display_name": C.name,
    "host": C.host,
    "hostname": C.hostname,
    "image_ref": C.image_id,
    "instance_type_id": C.flavor_id,
    "key_name": C.key_name,
    "launch_index": C.launch_index,
    "launched_at": C.launched_at,
    "locked": C.locked_by,
    "locked_by": C.locked_by,
    "node": C.node,
    "power_state": C.power_state,
    "project_id": C.project_id,
    "task_state": C.task_state,
    "terminated_at": C.terminated_at,
    "updated_at": C.updated_at,
    "user_id": C.user_id,
    "uuid": C.id,
    "vm_state": C.vm_state,
}
"""Nova's sort keys that tell servers apart here."""


class Order(msgspec.Struct, frozen=True):
    """One sort key."""

    key: str = "created_at"
    descending: bool = True


def complete(order: Sequence[Order]) -> list[Order]:
    """With the id as the last resort, so that pages have no gaps."""
    complete = list(order) or [Order()]
    if all(item.key != "uuid" for item in complete):
        complete.append(Order("uuid", complete[0].descending))
    return complete


def ordering(key: str) -> ColumnElement[Any]:
    """The column; where it may be null, null counts as the least value."""
    column = SORTABLE[key]
    if not getattr(column, "nullable", True):
        return column
    return func.coalesce(column, -1 if column.type.python_type is int else "")


def after(order: Sequence[Order], last: Row[Any]) -> ColumnElement[bool]:
    """What stands after the row with the values ``last`` of the order's columns."""
    columns = [ordering(item.key) for item in order]
    values = list(last)
    if len({item.descending for item in order}) == 1:
        pair = tuple_(*columns)
        return pair < tuple_(*values) if order[0].descending else pair > tuple_(*values)
    alternatives = []
    for i, item in enumerate(order):
        beyond = columns[i] < values[i] if item.descending else columns[i] > values[i]
        alternatives.append(and_(*(columns[j] == values[j] for j in range(i)), beyond))
    return or_(false(), *alternatives)

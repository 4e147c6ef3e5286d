"""The statements of the projector, each taking its rows as one JSON text."""

from __future__ import annotations

from sqlalchemy import Table

from projections.actions import INSTANCE_ACTION_EVENTS, INSTANCE_ACTIONS


def insert(table: Table) -> str:
    """Insert rows."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return (
        f"INSERT INTO {table.name} ({columns})"
        f" SELECT {columns} FROM json_populate_recordset(NULL::{table.name}, $1)"
    )


def upsert(table: Table) -> str:
    """Insert rows, or replace those of the same key."""
    keys = [column.name for column in table.primary_key]
    names = ", ".join(f'"{key}"' for key in keys)
    changes = ", ".join(
        f'"{c.name}" = EXCLUDED."{c.name}"' for c in table.columns if c.name not in keys
    )
    return f"{insert(table)} ON CONFLICT ({names}) DO UPDATE SET {changes}"


FENCE = """WITH moved AS (UPDATE positions p SET "offset" = v.new_offset, position = v.new_position,
    term = v.new_term, hash = v.new_hash
FROM json_to_recordset($1) AS v(topic text, part int, build int, revision int,
    old_offset bigint, old_position bigint, new_offset bigint, new_position bigint,
    new_term bigint, new_hash text)
WHERE p.topic = v.topic AND p.partition = v.part AND p.build = v.build
    AND p."offset" = v.old_offset AND p.position = v.old_position AND p.revision = v.revision
RETURNING 1)
SELECT 1 / (count(*) = json_array_length($1))::int FROM moved"""
"""Fails (division by zero) unless all positions were where they should be."""

ASIDE = """INSERT INTO set_aside
SELECT name, aggregate, id, topic, partition, event, error, since, events
FROM json_populate_recordset(NULL::set_aside, $1)
ON CONFLICT (name) DO UPDATE SET events = set_aside.events + EXCLUDED.events"""
"""What was set aside before keeps its first event and error."""

ACTIONS = insert(INSTANCE_ACTIONS) + " ON CONFLICT (server_id, request_id) DO NOTHING"

ENDINGS = """WITH ended AS (
    UPDATE instance_action_events e
    SET finish_time = n.finish_time, result = n.result, details = n.details
    FROM json_to_recordset($1) AS n(
        server_id text, event text, finish_time bigint, result text, details text)
    WHERE e.server_id = n.server_id AND e.event = n.event AND e.finish_time IS NULL
    AND n.finish_time BETWEEN 0 AND 9223372036854775807
    RETURNING e.server_id, e.request_id, e.finish_time AS at, e.result
), news AS (
    SELECT server_id, request_id, max(at) AS at, bool_or(result = 'Error') AS error
    FROM ended GROUP BY server_id, request_id
) UPDATE instance_actions a
SET updated_at = greatest(a.updated_at, n.at),
    message = CASE WHEN n.error THEN 'Error' ELSE a.message END
FROM news n WHERE a.server_id = n.server_id AND a.request_id = n.request_id"""

"""The range, which is always true, makes Postgres expect few endings. Expecting a hundred, it would
read the whole table beside them while that is small, and keep to that plan when it is large."""

_STEP_COLUMNS = ", ".join(column.name for column in INSTANCE_ACTION_EVENTS.columns)
STEPS = f"""WITH begun AS (
    INSERT INTO instance_action_events ({_STEP_COLUMNS})
    SELECT {_STEP_COLUMNS.replace("request_id", "coalesce(known, '') AS request_id")}
    FROM json_populate_recordset(NULL::instance_action_events, $1) s
    CROSS JOIN LATERAL (SELECT coalesce(nullif(s.request_id, ''), (
        SELECT a.request_id FROM instance_actions a
        WHERE a.server_id = s.server_id AND a.position <= s.position
        ORDER BY a.position DESC LIMIT 1)) AS known) k
    RETURNING server_id, request_id, greatest(start_time, finish_time) AS at, result
), news AS (
    SELECT server_id, request_id, max(at) AS at, bool_or(result = 'Error') AS error
    FROM begun GROUP BY server_id, request_id
) UPDATE instance_actions a
SET updated_at = greatest(a.updated_at, n.at),
    message = CASE WHEN n.error THEN 'Error' ELSE a.message END
FROM news n WHERE a.server_id = n.server_id AND a.request_id = n.request_id"""

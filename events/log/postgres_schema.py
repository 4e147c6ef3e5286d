"""The tables and functions of the Postgres log, and how they get into a database.

Each operation is one function, so one round trip and one transaction. Rows are locked in the same
order everywhere, so nothing deadlocks: partition rows by id; a group's members and what they own
only by who has locked the group's row.

- ``partition.next_offset`` is counted up under that row's lock, which is held until commit:
  offsets are gapless and rise in commit order, so a reader that goes by offset misses nothing.
- ``partition.term`` is the offset with which the present writer's term began. The same update
  that counts up the offset checks it, so nothing of an older term gets in after a later one.
- ``consumer`` says which member of a group owns which partition. That guards nothing: an owner
  begins a term in its journal, and the term does.
- ``generation`` counts changes of a group's members, ``assigned`` is the generation for which
  partitions were shared out; whoever sees them differ shares out and stores the result only
  if neither has changed meanwhile.

``VERSION`` names the text of the functions, which any start renews; ``FORM`` the form of the
tables, which nothing changes once they are made. Installing is idempotent and guarded by an
advisory lock: any number of processes may start at once. A crash halfway rolls the whole
installation back.
"""

from __future__ import annotations

import hashlib

FORM = 2
"""The form in which records and journals are stored: 2 has journals with terms. A log in another
form is refused, nothing converts it."""

_TABLES = """
CREATE SCHEMA IF NOT EXISTS {s};
CREATE TABLE IF NOT EXISTS {s}.cluster (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    version text NOT NULL,
    form int NOT NULL
);
ALTER TABLE {s}.cluster ADD COLUMN IF NOT EXISTS
    channels text NOT NULL DEFAULT left(encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 16);

CREATE TABLE IF NOT EXISTS {s}.topic (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    partitions int NOT NULL,
    retention_ms bigint
);
-- Room in each page, so that counting up an offset rewrites one row within its page.
CREATE TABLE IF NOT EXISTS {s}.partition (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic_id int NOT NULL REFERENCES {s}.topic,
    number int NOT NULL,
    first_offset bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    last_timestamp bigint NOT NULL DEFAULT 0,
    largest int NOT NULL DEFAULT 0,
    term bigint,
    UNIQUE (topic_id, number)
) WITH (fillfactor = 20);
-- Rows of some KiB stay in one piece and uncompressed: that costs least CPU.
CREATE TABLE IF NOT EXISTS {s}.record (
    part int NOT NULL,
    "offset" bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    key text NOT NULL,
    headers text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (part, "offset")
) WITH (toast_tuple_target = 8160);
ALTER TABLE {s}.record ALTER value SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {s}.consumer_group (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    generation bigint NOT NULL DEFAULT 0,
    assigned bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
CREATE TABLE IF NOT EXISTS {s}.member (
    id bigint PRIMARY KEY,
    group_id int NOT NULL REFERENCES {s}.consumer_group,
    topics int[] NOT NULL,
    seen timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20);
CREATE TABLE IF NOT EXISTS {s}.consumer (
    group_id int NOT NULL REFERENCES {s}.consumer_group,
    part int NOT NULL REFERENCES {s}.partition,
    owner bigint,
    PRIMARY KEY (group_id, part)
) WITH (fillfactor = 20);
"""

# Every role that may connect to the database may listen and notify on any channel; it cannot
# know these, since their names hold a random part that only the log's role can read.
_CHANNELS = """
CREATE OR REPLACE FUNCTION {s}.channel(p_kind text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '{s}:' || channels || ':' || p_kind FROM {s}.cluster
$$;
"""

# p_terms[i] NULL: appended whatever the term is; negative: a term begins with the first record;
# else nothing of this partition is written unless that is its term. Of the records' columns, slot
# points into p_parts and rank counts within a partition; keys and headers lie in p_text, values in
# p_values, one after the other, so that Postgres parses two literals instead of thousands.
# A notification carries its partition's records if they fit (p_lines[i] is then their lengths;
# postgres_tail), unless somebody who does not listen has let the queue of notifications grow.
_WRITE = """
CREATE OR REPLACE FUNCTION {s}.write(
    p_parts int[], p_topics int[], p_terms bigint[], p_counts int[], p_largest int[],
    p_lines text[], p_texts_bytes int[], p_values_bytes int[],
    p_slots int[], p_ranks int[], p_texts_at int[], p_keys int[], p_headers int[],
    p_values_at int[], p_lengths int[], p_text bytea, p_values bytea
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    bases bigint[] := '{}';
    stamps bigint[] := '{}';
    base bigint;
    stamp bigint;
    payload text;
    channel text := {s}.channel('t');
    next_text int := 1;
    next_value int := 1;
    crowded boolean := pg_notification_queue_usage() > 0.05;
BEGIN
    FOR i IN 1 .. cardinality(p_parts) LOOP
        UPDATE {s}.partition SET
            next_offset = next_offset + p_counts[i],
            term = CASE WHEN p_terms[i] < 0 THEN next_offset ELSE term END,
            last_timestamp = greatest(
                last_timestamp, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
            largest = greatest(largest, p_largest[i])
        WHERE id = p_parts[i] AND (p_terms[i] IS NULL OR p_terms[i] < 0 OR term = p_terms[i])
        RETURNING next_offset - p_counts[i], last_timestamp INTO base, stamp;
        bases[i] := base;
        stamps[i] := stamp;
        IF base IS NOT NULL AND p_counts[i] > 0 THEN
            payload := p_parts[i] || ':' || (base + p_counts[i]);
            IF p_lines[i] IS NOT NULL AND NOT crowded THEN
                payload := payload || ':' || stamp || ':' || p_lines[i] || ':'
                    || convert_from(substring(p_text, next_text, p_texts_bytes[i]), 'UTF8')
                    || encode(substring(p_values, next_value, p_values_bytes[i]), 'base64');
            END IF;
            PERFORM pg_notify(channel || p_topics[i], payload);
        END IF;
        next_text := next_text + p_texts_bytes[i];
        next_value := next_value + p_values_bytes[i];
    END LOOP;
    INSERT INTO {s}.record
    SELECT p_parts[slot], bases[slot] + rank, stamps[slot],
        convert_from(substring(p_text, text_at, key), 'UTF8'),
        convert_from(substring(p_text, text_at + key, headers), 'UTF8'),
        substring(p_values, value_at, length)
    FROM unnest(p_slots, p_ranks, p_texts_at, p_keys, p_headers, p_values_at, p_lengths)
        AS r(slot, rank, text_at, key, headers, value_at, length)
    WHERE bases[slot] IS NOT NULL OR p_terms[slot] IS NULL;
    RETURN bases || stamps;
END $$;
"""

_TOPICS = """
CREATE OR REPLACE FUNCTION {s}.create_topic(p_name text, p_partitions int, p_retention_ms bigint)
RETURNS TABLE (made boolean, found int) LANGUAGE plpgsql AS $$
DECLARE made_id int;
BEGIN
    INSERT INTO {s}.topic (name, partitions, retention_ms)
    VALUES (p_name, p_partitions, p_retention_ms)
    ON CONFLICT (name) DO NOTHING RETURNING id INTO made_id;
    UPDATE {s}.topic t SET retention_ms = p_retention_ms
    WHERE t.name = p_name AND t.partitions = p_partitions
        AND t.retention_ms IS DISTINCT FROM p_retention_ms;
    IF made_id IS NOT NULL THEN
        INSERT INTO {s}.partition (topic_id, number)
        SELECT made_id, n FROM generate_series(0, p_partitions - 1) n;
    END IF;
    RETURN QUERY SELECT made_id IS NOT NULL, t.partitions FROM {s}.topic t WHERE t.name = p_name;
END $$;

-- Offsets are gapless and timestamps rise with them: a binary search by primary key.
CREATE OR REPLACE FUNCTION {s}.offset_at(p_part int, p_timestamp bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE low bigint; high bigint; middle bigint; latest bigint; seen bigint;
BEGIN
    SELECT first_offset, next_offset, last_timestamp INTO low, high, latest
    FROM {s}.partition WHERE id = p_part;
    IF low = high OR latest < p_timestamp THEN RETURN NULL; END IF;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT "timestamp" INTO seen FROM {s}.record WHERE part = p_part AND "offset" = middle;
        IF FOUND AND seen >= p_timestamp THEN high := middle; ELSE low := middle + 1; END IF;
    END LOOP;
    RETURN low;
END $$;

-- Forget at most p_most records of each partition whose time is over; how many partitions
-- have more. What happened (*.events) is kept whatever the topic's row says.
CREATE OR REPLACE FUNCTION {s}.trim(p_most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE p record; cut bigint; more int := 0; oldest bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('{s}:trim', 0)) THEN RETURN 0; END IF;
    FOR p IN
        SELECT q.id, q.first_offset, q.next_offset,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - t.retention_ms * 1000 AS old
        FROM {s}.partition q JOIN {s}.topic t ON t.id = q.topic_id
        WHERE t.retention_ms IS NOT NULL AND t.name NOT LIKE '%.events'
            AND q.first_offset < q.next_offset
        ORDER BY q.id
    LOOP
        SELECT "timestamp" INTO oldest FROM {s}.record
        WHERE part = p.id AND "offset" = p.first_offset;
        CONTINUE WHEN oldest >= p.old;
        cut := coalesce({s}.offset_at(p.id, p.old), p.next_offset);
        IF cut > p.first_offset + p_most THEN
            cut := p.first_offset + p_most;
            more := more + 1;
        END IF;
        DELETE FROM {s}.record WHERE part = p.id AND "offset" < cut;
        UPDATE {s}.partition SET first_offset = cut WHERE id = p.id;
    END LOOP;
    RETURN more;
END $$;
"""

_GROUPS = """
CREATE OR REPLACE FUNCTION {s}.group_named(p_name text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE found_id int;
BEGIN
    INSERT INTO {s}.consumer_group (name) VALUES (p_name) ON CONFLICT (name) DO NOTHING;
    SELECT id INTO found_id FROM {s}.consumer_group WHERE name = p_name FOR UPDATE;
    RETURN found_id;
END $$;

CREATE OR REPLACE FUNCTION {s}.changed(p_group int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {s}.consumer_group SET generation = generation + 1 WHERE id = p_group;
    PERFORM pg_notify({s}.channel('g') || p_group, '');
END $$;

CREATE OR REPLACE FUNCTION {s}.join_group(p_name text, p_member bigint, p_topics int[])
RETURNS int LANGUAGE plpgsql AS $$
DECLARE found_id int := {s}.group_named(p_name);
BEGIN
    INSERT INTO {s}.member (id, group_id, topics) VALUES (p_member, found_id, p_topics);
    INSERT INTO {s}.consumer (group_id, part)
    SELECT found_id, id FROM {s}.partition WHERE topic_id = ANY (p_topics) ORDER BY id
    ON CONFLICT DO NOTHING;
    PERFORM {s}.changed(found_id);
    RETURN found_id;
END $$;

-- Dead: not seen for a session, or for a second by anyone while its connection, which holds
-- the advisory lock of its id, is gone. Time in which the server was down does not count.
CREATE OR REPLACE FUNCTION {s}.is_dead(p_member bigint, p_seen timestamptz, p_session_ms int)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE silent interval := clock_timestamp()
    - greatest(p_seen, pg_postmaster_start_time() + interval '2 s');
BEGIN
    IF silent > p_session_ms * interval '1 ms' THEN RETURN true; END IF;
    RETURN silent > interval '1 s' AND pg_try_advisory_xact_lock(p_member);
END $$;

-- p_session_ms NULL: the member leaves by itself. Returns whether it was a member until now.
CREATE OR REPLACE FUNCTION {s}.remove_member(p_group int, p_member bigint, p_session_ms int)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM {s}.consumer_group WHERE id = p_group FOR UPDATE;
    DELETE FROM {s}.member m WHERE m.id = p_member
        AND (p_session_ms IS NULL OR {s}.is_dead(m.id, m.seen, p_session_ms));
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE {s}.consumer SET owner = NULL WHERE group_id = p_group AND owner = p_member;
    PERFORM {s}.changed(p_group);
    RETURN true;
END $$;

-- I am alive; which of me are members still, how are their groups, who of them is dead.
CREATE OR REPLACE FUNCTION {s}.beat(p_members bigint[], p_session_ms int)
RETURNS TABLE (member_id bigint, group_id int, generation bigint, assigned bigint, dead bigint[])
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {s}.member m SET seen = clock_timestamp() WHERE m.id = ANY (p_members);
    RETURN QUERY
    SELECT m.id, g.id, g.generation, g.assigned, ARRAY(
        SELECT o.id FROM {s}.member o
        WHERE o.group_id = g.id AND NOT o.id = ANY (p_members)
            AND {s}.is_dead(o.id, o.seen, p_session_ms))
    FROM {s}.member m JOIN {s}.consumer_group g ON g.id = m.group_id
    WHERE m.id = ANY (p_members);
END $$;

CREATE OR REPLACE FUNCTION {s}.share_out(
    p_group int, p_generation bigint, p_parts int[], p_owners bigint[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM {s}.consumer_group
    WHERE id = p_group AND generation = p_generation AND assigned < generation FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE {s}.consumer c SET owner = n.owner
    FROM unnest(p_parts, p_owners) AS n(part, owner)
    WHERE c.group_id = p_group AND c.part = n.part AND c.owner IS DISTINCT FROM n.owner;
    UPDATE {s}.consumer_group SET assigned = generation WHERE id = p_group;
    PERFORM pg_notify({s}.channel('g') || p_group, '');
    RETURN true;
END $$;

"""

_INSTALL = _TABLES + _CHANNELS + _WRITE + _TOPICS + _GROUPS

VERSION = hashlib.sha256(_INSTALL.encode()).hexdigest()[:16]

_FETCH = """
PREPARE log_fetch (int[], bigint[], int, int) AS
SELECT r.* FROM unnest($1, $2) AS w(part, position)
JOIN {s}.partition p ON p.id = w.part
CROSS JOIN LATERAL (
    SELECT part, "offset", "timestamp", key, headers, value FROM {s}.record
    WHERE part = w.part AND "offset" >= greatest(w.position, p.first_offset)
    ORDER BY "offset" LIMIT greatest(1, least($3, $4 / greatest(1, p.largest)))
) r LIMIT $3
"""


def installation(schema: str) -> str:
    """The statements that make or renew everything in ``schema``, to be sent as one query."""
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('{s}:install', 0));"
    done = (
        f"INSERT INTO {{s}}.cluster (version, form) VALUES ('{VERSION}', {FORM}) "
        "ON CONFLICT (only_one) DO UPDATE SET version = excluded.version;"
    )
    return (lock + _INSTALL + done).replace("{s}", schema)


def fetch_statement(schema: str) -> str:
    """Prepares ``log_fetch(parts, positions, records_max, bytes_max)`` for a session.

    ``bytes_max`` bounds what one partition gives: its share of rows follows from the largest
    record there ever was in it. Rows of one partition come in order, partitions as given.
    """
    return _FETCH.replace("{s}", schema)

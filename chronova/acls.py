"""What each role may do on a Kafka cluster that enforces it: one table, for commands and tests.

One principal for each role, and one for each host: it reads its own work and writes reports and
heartbeats, nothing else. A topic is the smallest thing that Kafka grants, so these rules do not
tell hosts apart that write to the same one: ``events.host_proof`` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from events import site, topics
from handlers.decider import GROUP

ROLES = ("api", "decider", "projector", "agent", "admin")


class Acl(msgspec.Struct, frozen=True):
    """Operations allowed on a resource. ``resource``: topic, group, transactional-id or cluster;
    ``prefixed``: on all whose names begin with ``name``."""

    resource: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


def _topics(names: Sequence[str], *operations: str) -> list[Acl]:
    return [Acl("topic", name, operations) for name in names]


def _schemas(*more: str) -> list[Acl]:
    """The schemas of records and the feature level: all read them, the control plane adds its own
    schemas. A host could stop an upgrade with a false one, so an upgrade's first step writes those
    of hosts."""
    return [*_topics([topics.SCHEMAS], "Read", *more), *_topics([topics.FEATURES], "Read")]


def acls(role: str, host: str = "") -> list[Acl]:
    """What ``role`` needs; ``host``: the name of the agent's (first) host. ``ValueError`` for
    another role, or an agent without a host."""
    commands = [topics.commands(domain) for domain in topics.DOMAINS]
    events = [topics.events(domain) for domain in topics.DOMAINS]
    reports = [topics.reports(domain) for domain in topics.REPORTING]
    refusals = [topics.refusals(domain) for domain in topics.DOMAINS]
    if role == "api":
        # The events: to say in /healthz how far the projection is behind them.
        readable = [topics.REPLIES, *events]
        writable = [*commands, topics.HEARTBEATS]
        return [*_topics(writable, "Write"), *_topics(readable, "Read"), *_schemas("Write")]
    if role == "decider":
        both = [*commands, *events, *refusals, topics.HEARTBEATS]
        return [
            *_topics(both, "Read", "Write"),
            *_topics(reports, "Read"),
            *_topics([topics.REPLIES], "Write"),
            *_schemas("Write"),
            *_topics([topics.FEATURES], "Write"),
            Acl("topic", topics.DISPATCHES, ("Write",), prefixed=True),
            Acl("group", GROUP, ("Read",)),
            # A term takes the next epoch of the id "<topic>/<partition>".
            *(Acl("transactional-id", f"{name}/", ("Write",), prefixed=True) for name in events),
        ]
    if role == "projector":
        return [
            *_topics([*events, topics.HEARTBEATS], "Read"),
            *_topics([topics.HEARTBEATS], "Write"),
            *_schemas(),
        ]
    if role == "agent":
        if not host:
            raise ValueError("an agent's rules are for one host: give its name")
        return [
            *_topics([topics.dispatch(host)], "Read"),
            *_topics([*reports, topics.HEARTBEATS], "Write"),
            *_schemas(),
        ]
    if role == "admin":
        every = sorted(topic.name for topic in (*topics.all_topics(), site.TOPIC))
        operations = ("AlterConfigs", "Create", "Describe", "DescribeConfigs", "Read", "Write")
        return [
            *_topics(every, *operations),
            Acl("topic", topics.DISPATCHES, operations, prefixed=True),
        ]
    raise ValueError(f"there is no role {role!r}: {', '.join(ROLES)}")


def commands(principal: str, rules: Sequence[Acl], bootstrap: str) -> list[str]:
    """The same as ``kafka-acls.sh`` commands for User:``principal``."""
    lines = []
    for rule in rules:
        operations = " ".join(f"--operation {operation}" for operation in rule.operations)
        pattern = " --resource-pattern-type prefixed" if rule.prefixed else ""
        lines.append(
            f"kafka-acls.sh --bootstrap-server {bootstrap} --command-config admin.properties"
            f" --add --allow-principal User:{principal} {operations}"
            f" --{rule.resource} {rule.name}{pattern}"
        )
    return lines

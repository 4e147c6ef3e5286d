"""The instruments of each role, in the shapes that the roles' observers have.

Children are looked up by plain dictionaries: ``labels()`` costs more than the counting. Names and
labels are listed in docs/metrics.md; no label holds anything that a client can make up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from chronova.metrics.store import Store
from events.message import MESSAGES

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds: of what takes milliseconds when all is well."""

SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds: of work on a host."""

BATCHES = (1, 2, 5, 10, 20, 50, 100, 200)

Metric = TypeVar("Metric", Counter, Histogram)


class Children(Generic[Metric]):
    """The children of a metric by their labels' values, looked up cheaply."""

    def __init__(self, metric: Metric, labels: tuple[str, ...]) -> None:
        self._metric: Metric = metric
        self._known: dict[tuple[str, ...], Metric] = {} if labels else {(): metric}

    def of(self, *labels: str) -> Metric:
        """The child with these values."""
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = self._metric.labels(*labels)
        return child


def _counter(store: Store, name: str, text: str, *labels: str) -> Children[Counter]:
    return Children(Counter(f"chronova_{name}", text, labels, registry=store.registry), labels)


def _histogram(
    store: Store, name: str, text: str, *labels: str, buckets: Sequence[float] = FAST
) -> Children[Histogram]:
    made = Histogram(f"chronova_{name}", text, labels, registry=store.registry, buckets=buckets)
    return Children(made, labels)


def _gauge(store: Store, name: str, text: str, mode: Any, *labels: str) -> Gauge:
    return Gauge(f"chronova_{name}", text, labels, registry=store.registry, multiprocess_mode=mode)


class ProofMeters:
    """Records of hosts' topics that were not believed (``chronova.connections.check_proofs``)."""

    def __init__(self, store: Store) -> None:
        self._refused = _counter(
            store, "unproved_records", "Reports and heartbeats without a proof that holds.", "topic"
        )

    def refused(self, topic: str) -> None:
        """A record of that topic was not believed."""
        self._refused.of(topic).inc()


class ApiMeters:
    """Requests (``api.http.observing.Observer``) and commands (``api.log_bus.Observer``)."""

    def __init__(self, store: Store) -> None:
        self._requests = _counter(
            store, "api_requests", "Requests.", "service", "method", "route", "status"
        )
        self._seconds = _histogram(
            store, "api_request_seconds", "Time to the answer.", "service", "method", "status"
        )
        self._commands = _counter(
            store, "api_commands", "Commands sent, by what became of them.", "command", "outcome"
        )
        self._decisions = _histogram(
            store, "api_decision_seconds", "From sending a command to its answer.", "command"
        )
        self._visibility = _histogram(
            store, "api_visibility_seconds", "From the answer until reads show it.", "command"
        )

    def request(self, service: str, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        kind = f"{status // 100}xx"
        self._requests.of(service, method, route, kind).inc()
        self._seconds.of(service, method, kind).observe(seconds)

    def decided(self, command: str, outcome: str, seconds: float) -> None:
        """A command was answered (accepted, refused), or was not (undecided, unsent)."""
        self._commands.of(command, outcome).inc()
        self._decisions.of(command).observe(seconds)

    def shown(self, command: str, seconds: float) -> None:
        """Its decision shows, or the wait for that has ended."""
        self._visibility.of(command).observe(seconds)


class Decision(Protocol):
    """``handlers.decider.draft.Decided``."""

    type_name: str
    outcome: str
    events: int
    waited_s: float


class DeciderMeters:
    """What the decider does: ``handlers.decider.Watcher``."""

    def __init__(self, store: Store) -> None:
        self._decisions = _counter(
            store, "decider_decisions", "Commands decided.", "command", "outcome"
        )
        self._events = _counter(store, "decider_events", "Events written.").of()
        self._waits = _histogram(
            store, "decider_wait_seconds", "From a command's append to its decision.", "command"
        )
        self._sizes = _histogram(
            store, "decider_batch_commands", "Commands in an append.", buckets=BATCHES
        ).of()
        self._seconds = _histogram(
            store, "decider_batch_seconds", "To decide a batch and commit it."
        ).of()
        self._owned = _gauge(store, "decider_partitions", "Partitions owned.", "livesum")
        self._waiting = _gauge(
            store, "decider_waiting", "Partitions and receivers that wait.", "livesum"
        )
        self._unfolded = _gauge(
            store,
            "decider_unfolded_records",
            "Records to be folded before all owned partitions decide.",
            "livesum",
        )
        self.waiting(0)  # takes its room in the file now: on a full disk that would end the process

    def batch(self, decided: Sequence[Decision], seconds: float) -> None:
        """A batch was committed."""
        events = 0
        for one in decided:
            # A record from elsewhere may claim any type.
            name = one.type_name if one.type_name in MESSAGES else "unknown"
            self._decisions.of(name, one.outcome).inc()
            self._waits.of(name).observe(one.waited_s)
            events += one.events
        self._events.inc(events)
        self._sizes.observe(len(decided))
        self._seconds.observe(seconds)

    def owns(self, partitions: int) -> None:
        """How many partitions this process owns now."""
        self._owned.set(partitions)

    def waiting(self, partitions: int, unfolded: int = 0) -> None:
        """How many partitions, and receivers of what follows, wait; and how many records are to be
        folded before all partitions decide."""
        self._waiting.set(partitions)
        self._unfolded.set(unfolded)


class ProjectorMeters:
    """How far the projection is: ``observe`` of the projector, and measurements of its lag."""

    def __init__(self, store: Store) -> None:
        self._events = _counter(store, "projection_events", "Events projected.").of()
        self._sizes = _histogram(
            store, "projection_batch_events", "Events in a batch.", buckets=BATCHES
        ).of()
        self._delays = _histogram(
            store, "projection_delay_seconds", "From an event's append until reads show it."
        ).of()
        self._behind = _gauge(
            store,
            "projection_behind",
            "Events that are not in the live tables yet.",
            "livemax",
            "topic",
        )
        self._lag = _gauge(
            store, "projection_lag_seconds", "For how long there is something unread.", "livemax"
        )
        self._set_aside = _gauge(
            store,
            "projection_set_aside",
            "Aggregates whose rows cannot be made or stored.",
            "livemax",
        )
        self._waiting = _gauge(
            store,
            "projection_partitions_waiting",
            "Partitions whose next record cannot be taken.",
            "livemax",
        )

    def batch(self, events: int, seconds: float) -> None:
        """A batch was projected, the newest of it ``seconds`` after its append."""
        self._events.inc(events)
        self._sizes.observe(events)
        self._delays.observe(max(0.0, seconds))

    def lag(self, behind: Iterable[tuple[str, int]], seconds: float) -> None:
        """Offsets behind, by topic, and for how long something has been unread."""
        for topic, offsets in behind:
            self._behind.labels(topic).set(offsets)
        self._lag.set(seconds)

    def not_taken(self, set_aside: int, waiting: int) -> None:
        """How many aggregates are set aside, and how many partitions wait."""
        self._set_aside.set(set_aside)
        self._waiting.set(waiting)


class AgentMeters:
    """Work on hosts: ``handlers.performer.performer.Watcher``."""

    def __init__(self, store: Store) -> None:
        self._work = _counter(store, "agent_work", "Pieces of work done.", "work", "outcome")
        self._seconds = _histogram(
            store, "agent_work_seconds", "Time that a piece took.", "work", buckets=SLOW
        )
        self._pending = _gauge(
            store, "agent_pending", "Servers with work queued or under way.", "livesum"
        )
        self._defects = _counter(
            store, "agent_defects", "Calls in threads that raised what nobody foresaw."
        ).of()

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        """A piece of work ended: done, failed, superseded or cancelled."""
        self._work.of(kind, outcome).inc()
        self._seconds.of(kind).observe(seconds)

    def pending(self, servers: int) -> None:
        """How many servers have work queued or under way."""
        self._pending.set(servers)

    def defect(self) -> None:
        """A call in one of the agent's threads raised what nobody foresaw."""
        self._defects.inc()


class LogMeters:
    """Writes to the log: ``measured_log.Observer``."""

    def __init__(self, store: Store, role: str) -> None:
        seconds = _histogram(
            store, "log_write_seconds", "Time that a write took.", "role", "kind", "outcome"
        )
        records = _counter(store, "log_records", "Records written.", "role", "kind")
        self._role = role
        self._seconds = seconds
        self._records = records

    def wrote(self, kind: str, outcome: str, records: int, seconds: float) -> None:
        """An ``append`` or ``commit`` ended."""
        self._seconds.of(self._role, kind, outcome).observe(seconds)
        if outcome == "ok":
            self._records.of(self._role, kind).inc(records)

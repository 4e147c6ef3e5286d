"""A story as a sequence diagram: text for the terminal, Mermaid for documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.text import Text

from chronova.inspect.story import CLIENT, HOST, Step
from projections.instants import EPOCH

COLOURS = {"Compute": "cyan", "Scheduler": "magenta", HOST: "green", CLIENT: "yellow"}
WORK = {
    "HostSelected": "BuildGuest",
    "StopRequested": "StopGuest",
    "StartRequested": "StartGuest",
    "RebootRequested": "RebootGuest",
    "RebootTurnedHard": "RebootGuest (hard)",
    "DeletionRequested": "RemoveGuest",
    "BuildAbandoned": "RemoveGuest",
    "BootFailed": "RemoveGuest",
    "UnknownGuestRemovalOrdered": "RemoveGuest",
}
"""What a host is told after these events."""


DETAILS = (
    "host",
    "generation",
    "operation",
    "step",
    "percent",
    "command",
    "status",
    "detail",
    "reason",
    "power_state",
    "task_state",
)
"""Fields of events that a trace shows."""


def _host_of(steps: Sequence[Step]) -> str:
    for step in steps:
        host = step.fields.get("host")
        if isinstance(host, str) and host:
            return host
    return HOST


def _milliseconds(micros: int) -> str:
    return f"{micros / 1000:.1f} ms" if micros < 10_000_000 else f"{micros / 1e6:.1f} s"


def mermaid(steps: Sequence[Step]) -> str:
    """A Mermaid sequence diagram."""
    host = _host_of(steps)
    names = {HOST: f"Host {host}", CLIENT: "API", "Compute": "Compute decider"}
    seen = dict.fromkeys(name for s in steps for name in (s.sender, s.decider))
    if any(s.type in WORK for s in steps):
        seen[HOST] = None
    lines = ["sequenceDiagram"]
    lines += [f"    participant {n} as {names.get(n, n)}" for n in seen]
    request = None
    for number, step in enumerate(steps):
        if step.request_id != request:
            request = step.request_id
            lines.append(f"    Note over {next(iter(seen))}: {request or 'no request'}")
        after = step.time - steps[number - 1].time if number else 0
        arrow = "->>" if step.sender != step.decider else "->"
        lines.append(
            f"    {step.sender}{arrow}{step.decider}: {step.type} (+{_milliseconds(after)})"
        )
        if step.type in WORK:
            lines.append(f"    {step.decider}-){HOST}: {WORK[step.type]}")
    return "\n".join(lines) + "\n"


def text(steps: Sequence[Step], out: Console) -> None:
    """When, how long after, who told whom, what happened; each request under its id."""
    width = max(len(_path(step)) for step in steps)
    out.print(Text(f"{'time (UTC)':<12}  {'after':>9}  {'from → to':<{width}}  what", "bold"))
    request = None
    for number, step in enumerate(steps):
        if step.request_id != request:
            request = step.request_id
            out.print(Text(request or "no request", style="dim"))
        after = _milliseconds(step.time - steps[number - 1].time) if number else ""
        moment = f"{EPOCH + timedelta(microseconds=step.time):%H:%M:%S.%f}"[:-3]
        line = Text(f"{moment}  {after:>9}  {_path(step):<{width}}  ")
        line.append(step.type, COLOURS.get(step.sender, "white"))
        line.append(_detail(step), "dim")
        out.print(line)


def _path(step: Step) -> str:
    return f"{step.sender} → {step.decider}"


def _detail(step: Step) -> str:
    shown = [
        f"{name}={step.fields[name]}" for name in DETAILS if step.fields.get(name) not in (None, "")
    ]
    return "  " + " ".join(shown) if shown else ""

"""A story as a sequence diagram: text for the terminal, Mermaid for documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chronova.inspect.story import CLIENT, HOST, Step

COLOURS = {"Compute": "cyan", "Scheduler": "magenta", HOST: "green", CLIENT: "yellow"}
WORK = {
    "HostSelected": "BuildGuest",
    "StopRequested": "StopGuest",
    "StartRequested": "StartGuest",
    "RebootRequested": "RebootGuest",
    "RebootTurnedHard": "RebootGuest (hard)",
    "DeletionRequested": "RemoveGuest",
    "BootFailed": "RemoveGuest",
}
"""What a host is told after these events."""


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
    """A table: when, how long after, who told whom, what happened."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, side in (("time (UTC)", "left"), ("after", "right"), ("from → to", "left")):
        table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("what happened", overflow="fold")
    request = None
    for number, step in enumerate(steps):
        if step.request_id != request:
            request = step.request_id
            table.add_row("", "", "", Text(request or "no request", style="dim"))
        after = _milliseconds(step.time - steps[number - 1].time) if number else ""
        moment = datetime.fromtimestamp(step.time / 1e6, UTC)
        path = f"{step.sender} → {step.decider}"
        happened = Text(step.type, style=COLOURS.get(step.sender, "white"))
        happened.append(_detail(step), style="dim")
        table.add_row(f"{moment:%H:%M:%S.%f}"[:-3], after, path, happened)
    out.print(table)


def _detail(step: Step) -> str:
    shown = [
        f"{name}={step.fields[name]}"
        for name in ("host", "generation", "operation", "reason", "power_state", "task_state")
        if step.fields.get(name) not in (None, "")
    ]
    return "  " + " ".join(shown) if shown else ""

"""Why a server is where it is, or why there was no host for it: the scheduler's own evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chronova.inspect.story import Step, UnknownSubject

KINDS = ("AllocationClaimed", "AllocationRefused")


def decisions(steps: Sequence[Step]) -> list[Step]:
    """The scheduler's decisions in a story. Raises ``UnknownSubject`` when there is none."""
    found = [step for step in steps if step.type in KINDS]
    if not found:
        raise UnknownSubject("the scheduler has not decided about this server")
    return found


def show(steps: Sequence[Step], out: Console) -> None:
    """Each decision: survivors by filter, scores by weigher, the winner, the alternates."""
    for step in decisions(steps):
        if step.type == "AllocationClaimed":
            _claimed(step.fields, out)
        else:
            _refused(step.fields, out)


def _claimed(fields: dict[str, Any], out: Console) -> None:
    evidence = fields["evidence"]
    out.print(f"[bold]Attempt {fields['generation']}: placed on {escape(fields['host'])}[/bold]")
    _filters(evidence["hosts_total"], evidence["filtered"], out)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("host")
    table.add_column("score", justify="right")
    for scale in evidence["weighers"]:
        table.add_column(f"{escape(scale['weigher'])} x{scale['multiplier']:g}", justify="right")
    for score in evidence["best"]:
        mark = " ←" if score["host"] == fields["host"] else ""
        cells = [
            f"{raw:g} → {normal:.3f}"
            for raw, normal in zip(score["raw"], score["normalised"], strict=False)
        ]
        table.add_row(escape(score["host"]) + mark, f"{score['score']:.3f}", *cells)
    out.print(table)
    out.print(f"  tied for best: {evidence['tied']}; seed {evidence['seed']}")
    out.print(f"  alternates: {escape(', '.join(fields['alternates'])) or 'none'}\n")


def _refused(fields: dict[str, Any], out: Console) -> None:
    out.print(f"[bold]Attempt {fields['generation']}: {escape(fields['reason'])}[/bold]")
    _filters(fields["hosts_total"], fields["filtered"], out)
    out.print(f"  seed {fields['seed']}\n")


def _filters(total: int, filtered: Sequence[dict[str, Any]], out: Console) -> None:
    out.print(f"  {total:>6} {'host' if total == 1 else 'hosts'}")
    for count in filtered:
        out.print(f"  {count['remaining']:>6} after {escape(count['filter'])}")

"""docs/states.md: the states of a server, from the tables that the simulation checks runs against.

``make docs`` writes it (``python -m tests.simulation.document``). Which fact leads where is
``transitions``; deadlines and ways out are asked of the deciders, in the states themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import msgspec

from commands.compute.boot import ReportDisksCreated, ReportImageFetched
from commands.compute.delete import DeleteServer
from commands.compute.overdue import way_out
from commands.compute.power import StartServer, StopServer
from commands.compute.reboot import RebootServer, ReportRebootStarted
from events.compute.server import Server
from events.message import MESSAGES, Command, Event
from tests.commands.compute.servers import HOST, S, active, building, compute, created, stopped
from tests.parts.given import NOW
from tests.simulation.transitions import SAME, SEVERAL, TRANSITIONS, State

PATH = Path(__file__).resolve().parents[2] / "docs" / "states.md"

PICTURED = ("building", "active", "stopped", "error", "deleted")

HEAD = """# States of a server

A server has a `vm_state`, which is what it is, and a `task_state` while an operation is in flight.
No `task_state` is without a deadline, and each has a way out: when the deadline passes, the decider
that owns the server's partition ends the operation by itself.

`make docs` writes this file. The transitions are the table that every simulated run is checked
against (`tests/simulation/transitions.py`); deadlines and ways out are asked of the deciders.

"""


class Scene(msgspec.Struct, frozen=True):
    """How a server gets into a task_state: facts, then commands."""

    task: str
    meaning: str
    facts: Sequence[Event]
    commands: Sequence[Command] = ()


def _report(kind: type[Command], operation: int = 1) -> Command:
    fields: dict[str, object] = {"server_id": S, "project_id": "project", "host": HOST}
    known = kind.__struct_fields__
    fields |= {"generation": 1, "operation": operation}
    return kind(**{name: value for name, value in fields.items() if name in known})


def scenes() -> list[Scene]:
    """Return one scene for each task_state, in the order of the document."""
    soft, hard = (RebootServer(server_id=S, type=kind) for kind in ("SOFT", "HARD"))
    started = _report(ReportRebootStarted, 2)
    fetched = _report(ReportImageFetched)
    return [
        Scene("scheduling", "A host is being looked for.", [created()]),
        Scene("networking", "The host has the order; it fetches the image.", building()),
        Scene("block_device_mapping", "The image is there; disks are made.", building(), [fetched]),
        Scene(
            "spawning",
            "The disks are there; the guest is being started.",
            building(),
            [fetched, _report(ReportDisksCreated)],
        ),
        Scene(
            "powering-off", "The guest is asked to shut down.", active(), [StopServer(server_id=S)]
        ),
        Scene("powering-on", "The guest is being started.", stopped(), [StartServer(server_id=S)]),
        Scene("rebooting", "A soft reboot was asked for.", active(), [soft]),
        Scene("reboot_started", "The host reboots the guest softly.", active(), [soft, started]),
        Scene("rebooting_hard", "A hard reboot was asked for.", active(), [hard]),
        Scene("reboot_started_hard", "The host reboots it hard.", active(), [hard, started]),
        Scene("deleting", "The host removes the guest.", active(), [DeleteServer(server_id=S)]),
    ]


def reached(scene: Scene) -> Server:
    """Return the server of a scene. Raises ``AssertionError`` if it is in another task_state."""
    story = compute(*scene.facts)
    for command in scene.commands:
        story.when(command)
    server: Server = story.state("server", S)
    assert server.task_state == scene.task, (scene.task, server.task_state)
    return server


def moves() -> Mapping[str, tuple[frozenset[State], frozenset[State]]]:
    """Return for each fact the states before and after it; ``SAME`` is resolved."""
    found = dict(SEVERAL)
    for fact, (before, (vm, task)) in TRANSITIONS.items():
        after = {(b[0] if vm == SAME else vm, b[1] if task == SAME else task) for b in before}
        found[fact] = (before, frozenset(after))
    return found


def _name(type_name: str) -> str:
    return MESSAGES[type_name].__name__


def _pictured() -> Iterator[str]:
    yield "```mermaid\nstateDiagram-v2\n    [*] --> building: ServerCreated\n"
    edges: dict[tuple[str, str], list[str]] = {}
    for fact, (before, after) in moves().items():
        if not _keeps_vm_state(fact):
            for was, now in product({vm for vm, _ in before}, {vm for vm, _ in after}):
                if was != now:
                    edges.setdefault((was, now), []).append(_name(fact))
    for (was, now), facts in sorted(edges.items(), key=lambda edge: _place(edge[0])):
        yield f"    {was} --> {now}: {', '.join(sorted(facts))}\n"
    yield "    deleted --> [*]\n```\n"


def _keeps_vm_state(fact: str) -> bool:
    if fact in TRANSITIONS:
        return TRANSITIONS[fact][1][0] == SAME
    before, after = SEVERAL[fact]
    return {vm for vm, _ in before} == {vm for vm, _ in after}


def _place(edge: tuple[str, str]) -> tuple[int, int]:
    return PICTURED.index(edge[0]), PICTURED.index(edge[1])


def page() -> str:
    """Return docs/states.md."""
    parts = [HEAD, "## vm_state\n\n", *_pictured(), "\n## task_state\n\n"]
    parts.append(
        "Owner is who has to act next. The deadline is counted from the fact that began the"
        " operation; for a build, reports\nof progress by the host extend it. When it passes, the"
        " way out is recorded.\n\n"
        "| task_state | meaning | owner | deadline | entered by | ends with | way out |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    parts += [_row(scene) for scene in scenes()]
    parts += ["\n## Transitions\n\n| fact | recorded in | leads to |\n|---|---|---|\n"]
    parts += [
        f"| {_name(fact)} | {_listed(before)} | {_after(fact, after)} |\n"
        for fact, (before, after) in moves().items()
    ]
    parts.append("\nServerCreated begins every server, in `building`, `scheduling`.\n")
    return "".join(parts)


def _row(scene: Scene) -> str:
    server = reached(scene)
    assert server.deadline is not None
    owner = "scheduler" if scene.task == "scheduling" else "the server's host"
    out = ", ".join(type(fact).__name__ for fact in way_out(server, scene.task, NOW, "late"))
    entered, ended = _around(scene.task)
    cells = (
        f"`{scene.task}`",
        scene.meaning,
        owner,
        f"{(server.deadline - NOW) / 1e6:.0f} s",
        entered,
        ended,
        out,
    )
    return f"| {' | '.join(cells)} |\n"


def _around(task: str) -> tuple[str, str]:
    entered = ["ServerCreated"] if task == "scheduling" else []
    ended = []
    for fact, (before, after) in moves().items():
        into = any(now == task for _, now in after)
        inside = any(was == task for _, was in before)
        stays = fact in TRANSITIONS and TRANSITIONS[fact][1][1] == SAME
        if into and not stays:
            entered.append(_name(fact))
        if inside and not stays and not into:
            ended.append(_name(fact))
    return ", ".join(sorted(entered)), ", ".join(sorted(ended))


def _listed(states: frozenset[State]) -> str:
    """The states with each vm_state's tasks together: "active: none, powering-off; …"."""
    by_vm: dict[str, list[str]] = {}
    for vm, task in sorted(states, key=lambda state: (PICTURED.index(state[0]), state[1] or "")):
        by_vm.setdefault(vm, []).append(task or "none")
    same: dict[tuple[str, ...], list[str]] = {}
    for vm, tasks in by_vm.items():
        same.setdefault(tuple(tasks), []).append(vm)
    return "; ".join(f"{', '.join(vms)} / {', '.join(tasks)}" for tasks, vms in same.items())


def _after(fact: str, after: frozenset[State]) -> str:
    if fact in TRANSITIONS:
        vm, task = TRANSITIONS[fact][1]
        kept = "as before" if vm == SAME else vm
        return f"{kept} / {'as before' if task == SAME else task or 'none'}"
    if _keeps_vm_state(fact):
        return f"as before / {', '.join(sorted({task or 'none' for _, task in after}))}"
    return _listed(after)


def main() -> None:
    """Write the document."""
    PATH.write_text(page())


if __name__ == "__main__":
    main()

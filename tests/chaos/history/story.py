"""Histories by hand, for the tests of the checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tests.chaos.history.entries import (
    NAMES,
    SECOND,
    Fact,
    Guest,
    PutBack,
    Request,
    Seen,
)

JOURNAL, FLEET, PROJECT = "compute.events/3", "fleet.events/0", "p"
STEP = 10_000


class Story:
    """A history by hand. Each entry comes a hundredth of a second after the one before."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.at = 1_000 * SECOND
        self.states: dict[str, Seen] = {}
        self.numbers = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def later(self, us: int = STEP) -> int:
        self.at += us
        return self.at

    def fact(self, type: str, server: str, became: str = "", **fields: Any) -> Fact:
        """``became``: vm_state, task_state and power state after it, e.g. ``active - 1``."""
        at = self.later()
        journal = FLEET if type.startswith("fleet") else JOURNAL
        if became:
            vm_state, task, power = became.split()
            mark = fields.get("mark", self.states[server].mark if server in self.states else "")
            task_state = None if task == "-" else task
            self.states[server] = Seen(server, vm_state, task_state, int(power), at // SECOND, mark)
        made = Fact(
            journal=journal,
            position=self.number(),
            at=at,
            type=type,
            server_id=server,
            state=self.states.get(server) if journal == JOURNAL else None,
            **fields,
        )
        self.entries.append(made)
        return made

    def ask(
        self,
        operation: str,
        server: str,
        status: int | None,
        facts: Callable[[str], object] = lambda id: None,
        **about: Any,
    ) -> Request:
        """A request; what it led to is written with its id before the answer."""
        id = "" if status is None else f"req-{self.number()}"
        began = self.later()
        facts(id)
        made = Request(
            client=about.pop("client", 0),
            project_id=PROJECT,
            operation=operation,
            server_id=server,
            began=began,
            ended=self.later(about.pop("took", STEP)),
            status=status,
            request_id=id,
            **about,
        )
        self.entries.append(made)
        return made

    def boot(self, server: str, **about: Any) -> None:
        def facts(id: str) -> None:
            self.fact(
                "compute.ServerCreated",
                server,
                "building scheduling 0",
                request_id=id,
                name=name,
                project_id=PROJECT,
            )

        name = NAMES + server
        self.ask("boot", server, about.pop("status", 202), facts, name=name, **about)
        self.fact("fleet.AllocationClaimed", server, generation=1, host="h")
        self.fact("compute.HostSelected", server, "building networking 0", generation=1, host="h")
        self.fact("compute.DomainStarted", server, "active - 1", generation=1)

    def operate(self, operation: str, server: str, number: int, **about: Any) -> Request:
        """A stop, start or reboot that is done."""
        begins, task, ends, vm_state, power = {
            "stop": ("StopRequested", "powering-off", "ServerStopped", "stopped", 4),
            "start": ("StartRequested", "powering-on", "ServerStarted", "active", 1),
            "reboot": ("RebootRequested", "rebooting_hard", "ServerRebooted", "active", 1),
        }[operation]
        before = self.states[server]
        hard = operation == "reboot"

        def facts(id: str) -> None:
            became = f"{before.vm_state} {task} {before.power_state}"
            fields = {"request_id": id, "operation": number, "hard": hard}
            self.fact(f"compute.{begins}", server, became, **fields)

        made = self.ask(operation, server, about.pop("status", 202), facts, hard=hard, **about)
        self.fact(f"compute.{ends}", server, f"{vm_state} - {power}", operation=number)
        return made

    def mark(self, server: str, mark: str, status: int | None = 200, **about: Any) -> Request:
        before = self.states[server]

        def facts(id: str) -> None:
            became = f"{before.vm_state} {before.task_state or '-'} {before.power_state}"
            self.fact("compute.MetadataChanged", server, became, request_id=id, mark=mark)

        return self.ask("metadata", server, status, facts, mark=mark, **about)

    def show(self, server: str, seen: Seen | None = None, **about: Any) -> Request:
        state = seen or self.states[server]
        return self.ask("show", server, 200, seen=[state], **about)

    def delete(self, server: str, **about: Any) -> None:
        def facts(id: str) -> None:
            self.fact("compute.DeletionRequested", server, "active deleting 1", request_id=id)

        self.ask("delete", server, 204, facts, **about)
        self.states.pop(server)
        self.fact("compute.ServerDeleted", server)
        self.fact("fleet.AllocationReleased", server, generation=1, host="h")

    def refuse(self, operation: str, server: str) -> None:
        def facts(id: str) -> None:
            self.fact("outcome.CommandRefused", server, request_id=id, status=409)

        self.ask(operation, server, 409, facts)

    def put_back(self, work: Callable[[Story], object] = lambda story: None) -> None:
        """The log is put back to a copy that was made before ``work``."""
        copied = self.later()
        work(self)
        began = self.later()
        self.entries.append(PutBack(copied=copied, began=began, ended=self.later(SECOND)))

    def walk(self, *pages: tuple[str, ...], walk: str = "w") -> None:
        for page in pages:
            seen = [self.states[server] for server in page]
            self.ask("list", "", 200, seen=seen, walk=walk, last=page is pages[-1])


def clean() -> Story:
    """Everything that a client can ask and be told, and all of it right."""
    story = Story()
    story.boot("a")
    story.show("a")
    story.operate("stop", "a", 2)
    story.refuse("stop", "a")
    story.show("a")
    story.operate("start", "a", 3, status=None)  # no answer, and it happened
    story.ask("reboot", "a", None)  # no answer, and it did not
    story.ask("boot", "", None, name=NAMES + "b")  # tried again with its Idempotency-Key
    story.boot("b")
    story.ask("boot", "b", 202, name=NAMES + "b")
    story.operate("reboot", "a", 4)
    story.mark("a", "m1")
    story.boot("c")
    story.walk(("c", "b"), ("a",))
    story.delete("c")
    story.ask("delete", "c", 204)
    story.ask("show", "c", 404)
    story.ask("boot", "", 403, name=NAMES + "d")
    story.walk(("b",), ("a",), walk="v")
    # The projector was away: the answer came when the API no longer waited for it.
    story.mark("b", "m2", took=2 * SECOND)
    story.show("b", replace(story.states["b"], mark="", updated=1_000))
    story.entries.append(Guest(host="h", server_id="a", boots=3))
    story.entries.append(Guest(host="h", server_id="b", boots=1))
    return story

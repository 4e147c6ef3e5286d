"""What goes wrong, and how long things take, on a simulated host: values, chosen by tests.

A fault names a step, which servers it hits, and at which call; it strikes before the step's
effect, or after it (the effect is there, the caller hears of a failure, or dies).
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from handlers.compute.drivers.contract import DriverError


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """`error` is raised by `step` for the servers whose name matches `server_name` (fnmatch).

    `nth`: only the nth matching call, from 1; None: each. An exception that is no DriverError
    (say, the simulation's own Crash) is allowed: it stands for the agent's death.
    """

    step: str
    server_name: str = "*"
    nth: int | None = None
    when: Literal["before", "after"] = "before"
    error: BaseException = msgspec.field(
        default_factory=lambda: DriverError("The simulated host was told to fail here.")
    )


class FaultPlan:
    """Counts calls and raises the faults that are due. Not thread-safe: the driver locks."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults: list[Fault] = list(faults)
        self._calls: dict[int, int] = {}

    def add(self, fault: Fault) -> None:
        """Let it strike from now on (its calls are counted from now)."""
        self._faults.append(fault)

    def clear(self) -> None:
        """All is well from now on."""
        self._faults.clear()
        self._calls.clear()

    def __bool__(self) -> bool:
        return bool(self._faults)

    def due(self, step: str, server_name: str, when: Literal["before", "after"]) -> Fault | None:
        """The first fault that strikes at this call, if any."""
        found: Fault | None = None
        for index, fault in enumerate(self._faults):
            if fault.step != step or fault.when != when:
                continue
            if not fnmatchcase(server_name, fault.server_name):
                continue
            self._calls[index] = self._calls.get(index, 0) + 1
            if found is None and fault.nth in (None, self._calls[index]):
                found = fault
        return found

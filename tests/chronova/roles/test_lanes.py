"""Where passwords are hashed: in one lane, whose shares keep a flood of them from all others."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import api
from api.identity import login
from api.identity.routes import RESOURCES
from chronova.roles.lanes import LOGIN, lane_of

HASHES = re.compile(r"passwords\.(?:hash|verify)\(")
LOGS_IN = re.compile(r"_logins\.(?:login|verify)\(")
"""What else costs a hash: who calls ``Logins``."""
METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
MADE_AT_THE_START = "first_users.py"
"""No request calls it."""


def operations() -> dict[str, str]:
    """Request lines of the Identity API, and the source of what answers them."""
    found = {}
    for path, resource in RESOURCES:
        for method in METHODS:
            operation: Any = getattr(resource, f"on_{method.lower()}", None)
            if operation is not None:
                line = f"{method} /identity{re.sub('{[^}]*}', '1', path)}"
                found[line] = inspect.getsource(operation)
    return found


HASHING = [
    line for line, source in operations().items() if HASHES.search(source) or LOGS_IN.search(source)
]


def test_no_other_code_hashes_passwords() -> None:
    rooms = Path(inspect.getfile(api)).parent.rglob("*.py")
    everywhere = sum(
        len(HASHES.findall(path.read_text())) for path in rooms if path.name != MADE_AT_THE_START
    )
    in_operations = sum(len(HASHES.findall(source)) for source in operations().values())
    assert everywhere == in_operations + len(HASHES.findall(inspect.getsource(login)))


@pytest.mark.parametrize("line", HASHING)
def test_what_hashes_passwords_is_in_the_lane_of_logins(line: str) -> None:
    assert lane_of(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == LOGIN


def test_those_are_not_none() -> None:
    assert len(HASHING) >= 5

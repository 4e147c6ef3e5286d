"""States survive their bytes, and the same state has the same bytes in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import immutables
import msgspec
import pytest

from events.state_codec import BadState, decode_state, encode_state, state_shape


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    gib: int
    seal: bytes = b""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    disks: immutables.Map[str, Disk] = immutables.Map()
    labels: dict[str, str] = {}
    spare: Disk | None = None
    nested: immutables.Map[str, immutables.Map[str, int]] = immutables.Map()


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    disks: immutables.Map[str, Disk] = immutables.Map()


FULL = Machine(
    name="vm\x00ä",
    disks=immutables.Map({f"disk-{n}": Disk(gib=n, seal=b"\x00\xff") for n in range(50)}),
    labels={"z": "first", "a": "second"},
    spare=Disk(gib=1),
    nested=immutables.Map(outer=immutables.Map(inner=1)),
)


@pytest.mark.parametrize("state", [FULL, Machine(name="")])
def test_a_state_survives(state: Machine) -> None:
    decoded = decode_state(encode_state(state), Machine)
    assert decoded == state
    assert list(decoded.labels) == list(state.labels), "a dict keeps its order"
    assert isinstance(decoded.disks, immutables.Map)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_bytes_do_not_depend_on_the_hash_seed(seed: str) -> None:
    script = (
        "import sys; from tests.events.test_state_codec import FULL;"
        "from events.state_codec import encode_state; sys.stdout.write(encode_state(FULL).hex())"
    )
    made = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert made.stdout == encode_state(FULL).hex()


@pytest.mark.parametrize("encoded", [b"", b"\x81", encode_state(Disk(gib=1)), b"\xff" * 9])
def test_bytes_of_something_else_are_refused(encoded: bytes) -> None:
    with pytest.raises(BadState, match="not a state of Machine"):
        decode_state(encoded, Machine)


def test_what_no_state_may_hold_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="cannot hold a complex"):
        encode_state({"x": 1j})


def test_the_shape_changes_with_a_nested_field() -> None:
    class Disk2(msgspec.Struct):
        gib: int

    class Grown2(msgspec.Struct):
        disk: Disk | None

    assert state_shape(Grown) == state_shape(Grown)
    assert state_shape(Grown) != state_shape(Machine)
    assert state_shape(Disk) != state_shape(Disk2)
    assert state_shape(Grown2) != state_shape(Disk)

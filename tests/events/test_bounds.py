"""Every field of every record is bounded: what is beyond is neither written nor decided."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from commands.compute.flavor import CreateFlavor
from commands.compute.power_state import ReportPowerState
from commands.fleet.host import RegisterHost
from commands.identity.application_credential import CreateApplicationCredential
from events.bounds import INSTANT_MAX, NESTING_MAX, OutOfBounds, bounded, check, too_nested
from events.fleet.heartbeat import Heartbeat
from events.fleet.inventory import Hypervisor, Inventory, unsound
from events.log.records import BadRecord, Codec
from events.message import MESSAGES, Message

HUGE = 10**12
CODEC = Codec()


def flavor(**given: Any) -> CreateFlavor:
    fields: dict[str, Any] = {
        "flavor_id": "1",
        "name": "n",
        "vcpus": 1,
        "ram_mib": 1,
        "root_gib": 1,
    }
    return CreateFlavor(**fields | given)


def power(value: int) -> ReportPowerState:
    return ReportPowerState(
        project_id="p", server_id="s", host="h", generation=1, power_state=value
    )


def host(name: str = "h", **inventory: int) -> RegisterHost:
    return RegisterHost(
        host=name,
        node_id="n",
        service_id="s",
        hypervisor=Hypervisor(hostname="h", type="QEMU", version=1, host_ip="::1"),
        inventories={"VCPU": Inventory(**{"total": 1} | inventory)},
        traits=[],
    )


def credential(expires_at: int) -> CreateApplicationCredential:
    return CreateApplicationCredential(
        credential_id="c",
        credential_name="n",
        user_id="u",
        project_id="p",
        role_ids=[],
        secret_hash="h",
        expires_at=expires_at,
    )


BEYOND = {
    "number": flavor(ram_mib=2**31),
    "inf": flavor(rxtx_factor=float("inf")),
    "nan": flavor(rxtx_factor=float("nan")),
    "name": flavor(name="n" * 256),
    "NUL": flavor(description="a\0b"),
    "surrogate": flavor(description="\ud800"),
    "instant": credential(INSTANT_MAX + 1),
    "before 1970": credential(-1),
    "power state": power(HUGE),
    "nested number": host(total=2**62),
    "host NUL": host("h\0ost"),
    "host long": host("x" * 8000),
    "host empty": host(""),
    "heartbeat": Heartbeat(host="ä" * 8000, at=0, started_at=0),
}


@pytest.mark.parametrize("message", BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_its_bound_is_not_written(message: Message) -> None:
    with pytest.raises(OutOfBounds):
        CODEC.encode(message)


@pytest.mark.parametrize(
    "name", ["number", "power state", "nested number", "host NUL", "heartbeat"]
)
def test_what_another_program_wrote_beyond_its_bound_is_not_decided(name: str) -> None:
    written = CODEC.written(BEYOND[name])
    with pytest.raises(BadRecord):
        CODEC.decode(written)


@pytest.mark.parametrize(
    "message",
    [
        flavor(ram_mib=2**31 - 1, name="ä" * 255, description="\\u0000 is six characters"),
        credential(INSTANT_MAX),
        host("a.b-c_1" * 20),
    ],
)
def test_what_is_at_its_bound_is_written(message: Message) -> None:
    assert CODEC.decode(CODEC.encode(message)) == message


def test_the_sentence_names_the_field() -> None:
    with pytest.raises(
        OutOfBounds, match=r"field/attribute ram_mib\. Expected `int` <= 2147483647"
    ):
        check(flavor(ram_mib=HUGE))


def test_every_number_and_text_of_every_record_has_a_bound() -> None:
    def unbounded(kind: Any, path: str) -> list[str]:
        match kind:
            case msgspec.inspect.IntType(ge=None) | msgspec.inspect.IntType(le=None):
                return [path]
            case msgspec.inspect.FloatType(ge=None) | msgspec.inspect.FloatType(le=None):
                return [path]
            case msgspec.inspect.StrType(max_length=None, pattern=None):
                return [path]
            case msgspec.inspect.StructType():
                return [p for f in kind.fields for p in unbounded(f.type, f"{path}.{f.name}")]
            case msgspec.inspect.ListType():
                return unbounded(kind.item_type, path) if kind.max_length else [path]
            case msgspec.inspect.DictType():
                inner = unbounded(kind.key_type, path) + unbounded(kind.value_type, path)
                return inner if kind.max_length else [path]
            case msgspec.inspect.UnionType():
                return [p for one in kind.types for p in unbounded(one, path)]
        return []

    for name, cls in MESSAGES.items():
        assert unbounded(msgspec.inspect.type_info(bounded(cls)), name) == []


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(("levels", "refused"), [(0, False), (NESTING_MAX, False), (65, True)])
def test_nesting_has_a_bound(levels: int, refused: bool) -> None:
    assert too_nested(nested(levels)) is refused


@pytest.mark.parametrize("levels", [100, 100_000])
def test_a_host_cannot_nest_its_cpu_info(levels: int) -> None:
    info = '{"a":' + "[" * levels + "]" * levels + "}"
    hypervisor = Hypervisor(hostname="h", type="t", version=1, host_ip="", cpu_info=info)
    assert unsound(hypervisor, {}) == "cpu_info must be a JSON object."
    whole = Hypervisor(
        hostname="h", type="t", version=1, host_ip="", cpu_info=json.dumps({"a": nested(9)})
    )
    assert unsound(whole, {}) is None

"""Who wrote a report, a registration or a heartbeat: what holds, and everything that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from commands.compute.power import ReportGuestStopped
from commands.fleet.host import RegisterHost
from events import topics
from events.fleet.heartbeat import CONDUCTOR, Heartbeat
from events.host_proof import HEADER, SITE, Unproved
from events.log.contract import Outgoing, Record
from events.log.records import Codec, headers
from events.message import Context, Message
from handlers.heartbeat import heartbeat_record
from tests.commands.fleet.fleet import register
from tests.parts.proofs import checked, own_key, proofs_of, taken

CODEC = Codec()
BEAT = Heartbeat(host="h1", at=1, started_at=1)
STOPPED = ReportGuestStopped(
    server_id="s", project_id="p", host="h1", generation=1, operation=2, power_state=4
)
REGISTERED = msgspec.structs.replace(register("h1"), public_key=own_key("h1").public)
BY_MAC = [STOPPED, BEAT]


@pytest.fixture(autouse=True)
def refused() -> Iterator[list[tuple[str, str]]]:
    with checked() as refused:
        yield refused


def written(message: Message, id: str = "1", key: str = "p") -> Outgoing:
    made = headers(Context(id=id, time=1), message.type_name, "/test")
    topic = topics.HEARTBEATS if isinstance(message, Heartbeat) else "compute.reports"
    return Outgoing(topic, key, CODEC.encode(message), made)


def proved(message: Message, host: str = "h1", machine: int = 1) -> Record:
    """A record of that message, proved by the machine that is called ``host``."""
    named = msgspec.structs.replace(message, host=host)
    (record,) = taken([proofs_of(host, machine=machine).add(written(named), named)])
    return record


@pytest.mark.parametrize("message", [*BY_MAC, REGISTERED], ids=lambda m: m.type_name)
def test_what_its_host_wrote_is_believed(message: Message, refused: list[tuple[str, str]]) -> None:
    SITE.check(proved(message), message)
    assert refused == []


@pytest.mark.parametrize("message", [*BY_MAC, REGISTERED], ids=lambda m: m.type_name)
def test_what_has_no_proof_is_not(message: Message, refused: list[tuple[str, str]]) -> None:
    (bare,) = taken([written(message)])
    with pytest.raises(Unproved):
        SITE.check(bare, message)
    assert [topic for topic, _ in refused] == [bare.topic]


@pytest.mark.parametrize("message", BY_MAC, ids=lambda m: m.type_name)
def test_another_host_s_proof_is_not_enough(message: Message) -> None:
    """Neither its own, nor with the name in it changed."""
    forged = changed(proved(message, "h2"), value=CODEC.encode(message))
    with pytest.raises(Unproved, match="in the name of 'h1' with the proof of 'h2'"):
        SITE.check(forged, message)
    (own,) = taken(
        [
            proofs_of("h2").add(
                written(msgspec.structs.replace(message, host="h2")),
                msgspec.structs.replace(message, host="h2"),
            )
        ]
    )
    renamed = own.headers[HEADER].replace(":h2:", ":h1:")
    with pytest.raises(Unproved, match="not that of 'h1'"):
        SITE.check(changed(own, headers={**own.headers, HEADER: renamed}), message)


def changed(record: Record, **fields: object) -> Record:
    return msgspec.structs.replace(record, **fields)


CHANGES: dict[str, Callable[[Record], Record]] = {
    "topic": lambda r: changed(r, topic="fleet.reports"),
    "key": lambda r: changed(r, key="another project"),
    "value": lambda r: changed(r, value=r.value + b"x"),
    "id": lambda r: changed(r, headers={**r.headers, "ce_id": "2"}),
    "key and value": lambda r: changed(r, key=r.key[:-1], value=r.key[-1:].encode() + r.value),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("message", [*BY_MAC, REGISTERED], ids=lambda m: m.type_name)
def test_it_holds_for_the_whole_record(message: Message, change: str) -> None:
    with pytest.raises(Unproved):
        SITE.check(CHANGES[change](proved(message)), message)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "mac",
        "mac:::",
        "mac:h1:{key}",
        "mac:h1:{key}:",
        "mac:h1:{key}:{mac}:",
        "mac:h1::{mac}",
        "mac::{key}:{mac}",
        "mac:h1:{long}:{mac}",
        "ed25519:{key}:{mac}00",
        "ed25519:{key}:zz",
        "\N{SNOWMAN}",
        "mac:h1:{key}:\N{SNOWMAN}",
        "mac:h1:{key}:\ud800",
        "mac:h1:\ud800:{mac}",
    ],
)
@pytest.mark.parametrize("message", [*BY_MAC, REGISTERED], ids=lambda m: m.type_name)
def test_what_is_no_proof(message: Message, header: str) -> None:
    record = proved(message)
    mac = record.headers[HEADER].rpartition(":")[2]
    broken = header.format(key=own_key("h1").public, mac=mac, long="a" * 10_000)
    with pytest.raises(Unproved):
        SITE.check(changed(record, headers={**record.headers, HEADER: broken}), message)


def test_a_registration_is_signed_with_the_key_that_it_names() -> None:
    """Who knows another's public key cannot register with it."""
    assert isinstance(REGISTERED, RegisterHost)
    signed = proved(REGISTERED, machine=2)
    with pytest.raises(Unproved, match="another key than it names"):
        SITE.check(signed, REGISTERED)
    mine, theirs = own_key("h1", 2).public, own_key("h1").public
    renamed = signed.headers[HEADER].replace(mine, theirs)
    with pytest.raises(Unproved, match="does not hold"):
        SITE.check(changed(signed, headers={**signed.headers, HEADER: renamed}), REGISTERED)


def test_another_machine_of_the_same_name_is_told_apart() -> None:
    """A host that was removed keeps its key: whoever knows who is registered refuses it."""
    former, now = proved(BEAT, machine=1), own_key("h1", 2).public
    SITE.check(proved(BEAT, machine=2), BEAT, now)
    with pytest.raises(Unproved, match="another machine"):
        SITE.check(former, BEAT, now)


def test_services_of_the_control_plane_have_a_proof_of_their_own() -> None:
    """No host can speak for one, and none of them for a host."""
    conductor = Heartbeat(host="ctl", binary=CONDUCTOR, at=1, started_at=1)
    (record,) = taken([heartbeat_record(CODEC, conductor, "1")])
    SITE.check(record, conductor)
    for machine in (1, 2):
        with pytest.raises(Unproved):
            SITE.check(proved(conductor, "ctl", machine), conductor)
    (as_host,) = taken([heartbeat_record(CODEC, BEAT, "1")])
    with pytest.raises(Unproved, match="with the proof of ''"):
        SITE.check(as_host, BEAT)


def test_a_report_that_names_no_host_is_nobody_s() -> None:
    nameless = msgspec.structs.replace(STOPPED, host="")
    for host in ("", "h1"):
        with pytest.raises(Unproved):
            SITE.check(changed(proved(STOPPED, host or "h2")), nameless)


def test_a_master_key_of_the_wrong_length_is_none() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SITE.use(b"short", lambda *_: True)

"""What the other files of this folder found, each by its falsifying example."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from lxml import etree
from rich.console import Console

from chronova.inspect import explain
from commands.compute.create import CreateServers
from commands.compute.flavor import AddFlavorAccess
from commands.compute.guest import Guest
from commands.compute.power_state import ReportPowerState
from commands.compute.progress import ReportProgress
from commands.identity.bootstrap import Bootstrap, BootstrapUser, ResetAdmin
from events.aggregate import folds_of
from events.bounds import INSTANT_MAX, INT8_MAX, bounded
from events.compute.flavor import FlavorSnapshot
from events.compute.server import ImageSnapshot
from events.compute.unknown_guest import UnknownGuestFound
from events.fleet.host import ServiceWentDown
from events.fleet.host_aggregate import AggregateDeleted
from events.fleet.shard import AllocationRefused
from events.identity.domain import DomainDeleted
from events.identity.user import UserDisabled
from events.message import MESSAGES, Event
from handlers.compute.drivers.contract import DriverError, GuestSecrets
from handlers.compute.drivers.domain_xml import DomainHost, domain_xml
from handlers.compute.drivers.instance_metadata import metadata_files
from handlers.compute.performing import spec_of
from projections.identity.documents import unpacked
from tests.parts.given import CODEC, given
from tests.properties.test_shown import step

FLAVOR = FlavorSnapshot(flavor_id="1", name="n", vcpus=1, ram_mib=1, root_gib=1)
IMAGE = ImageSnapshot(
    image_id="i",
    name="n",
    checksum="c",
    size_bytes=1,
    disk_format="qcow2",
    virtual_size_bytes=1 << 40,
)
GUEST = Guest(
    server_id="11111111-2222-3333-4444-555555555555",
    project_id="p",
    user_id="u",
    generation=1,
    name="n",
    hostname="h",
    flavor=FLAVOR,
    image=IMAGE,
    created_at=0,
)


def test_a_refusal_about_the_longest_id_is_recorded() -> None:
    command = AddFlavorAccess(flavor_id="0" * 255, project_id="p")
    given("compute").when(command).refused(404)


def test_a_guest_of_the_longest_id_is_found() -> None:
    report = ReportPowerState(
        project_id="p", server_id="[" * 255, host="h", generation=1, power_state=1
    )
    given("compute").when(report).happened(UnknownGuestFound)


def test_no_servers_are_created_when_none_are_asked_for() -> None:
    command = CreateServers(
        project_id="p", user_id="u", servers=[], flavor=FLAVOR, reservation_id="r", seed=0
    )
    given("compute").when(command).nothing()


def test_bootstrap_without_ids_is_refused() -> None:
    user = BootstrapUser(user_id="u", user_name="n", password_hash="h")
    for command in (
        Bootstrap(admin=user, role_ids={}, project_ids={}),
        ResetAdmin(admin=user, role_ids={}, project_ids={}),
    ):
        given("identity").when(command).refused(400, "No id is given for the tenant admin.")


def test_an_image_of_more_than_two_gib_reports_its_progress() -> None:
    report = ReportProgress(
        server_id="s",
        project_id="p",
        host="h",
        generation=1,
        operation=1,
        step="image",
        bytes_done=2**31,
        bytes_total=2**32,
    )
    assert CODEC.decode(CODEC.encode(report)) == report


def test_an_image_of_more_than_two_gib_is_booted() -> None:
    command = CreateServers(
        project_id="p",
        user_id="u",
        servers=[],
        flavor=FLAVOR,
        image=IMAGE,
        reservation_id="r",
        seed=0,
    )
    assert CODEC.decode(CODEC.encode(command)) == command


def test_every_number_of_bytes_may_be_large() -> None:
    for name, cls in MESSAGES.items():
        for field in msgspec.structs.fields(bounded(cls)):
            if "bytes" in field.name.split("_"):
                assert str(INT8_MAX) in str(field.type), f"{name}.{field.name}"


@pytest.mark.parametrize(
    "event",
    [
        ServiceWentDown(at=0, host="h", silent_s=1.0),
        AggregateDeleted(at=0, aggregate_id="a"),
        DomainDeleted(at=0, domain_id="d"),
        UserDisabled(at=0, user_id="u"),
    ],
)
def test_an_event_about_what_is_not_there_changes_nothing(event: Event) -> None:
    for aggregate, _ in folds_of(event):
        assert aggregate.evolve(None, event) is None


def test_properties_that_are_no_json_are_shown_as_they_are() -> None:
    deep = "[" * 300 + "]" * 300
    assert unpacked({"a": "[1]", "b": "", "c": "{x", "d": deep}) == {
        "a": [1],
        "b": "",
        "c": "{x",
        "d": deep,
    }


def test_a_guest_with_characters_that_xml_cannot_hold_is_defined() -> None:
    odd = msgspec.structs.replace(GUEST, name="a\x01\ufffe", created_at=INSTANT_MAX)
    xml = domain_xml(spec_of(odd), DomainHost(name="h", virt_type="qemu"), Path("/f"))
    found = etree.fromstring(xml)
    assert "a\ufffd\ufffd" in found.itertext()
    assert "9999-12-31 23:59:59" in found.itertext()


def test_user_data_beyond_ascii_fails_the_build_in_a_sentence() -> None:
    odd = GuestSecrets(user_data="½")
    with pytest.raises(DriverError, match="is not base64"):
        metadata_files(spec_of(GUEST), random_seed=b"", secrets=odd)


def test_a_reason_that_looks_like_markup_is_explained() -> None:
    refused = AllocationRefused(
        at=0,
        server_ids=["s"],
        project_id="p",
        generation=1,
        reason="no host [/x] was found",
        hosts_total=0,
        filtered=[],
        placeable=0,
        seed=0,
        spec_fingerprint="",
    )
    out = Console(file=io.StringIO())
    with out.capture() as shown:
        explain.show([step(refused)], out)
    assert "no host [/x] was found" in shown.get()

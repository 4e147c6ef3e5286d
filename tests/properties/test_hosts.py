"""Whatever a guest is to be, a host makes files of it or says in a sentence that it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from lxml import etree

from commands.compute.guest import Guest
from events.compute.server import ImageSnapshot
from events.message import MESSAGES, Work
from handlers.compute.drivers.contract import DriverError, GuestSecrets
from handlers.compute.drivers.domain_xml import DomainHost, domain_xml, wanted_ownership
from handlers.compute.drivers.instance_metadata import metadata_files
from handlers.compute.performing import spec_of
from tests.parts.given import CODEC
from tests.properties.histories import examples
from tests.properties.values import fields_of, messages

GUESTS = some.fixed_dictionaries(fields_of(Guest) | {"image": messages(ImageSnapshot)}).map(
    lambda fields: Guest(**fields)
)
WORK = [cls for _, cls in sorted(MESSAGES.items()) if issubclass(cls, Work)]


@pytest.mark.parametrize("virt_type", ["qemu", "kvm"])
def test_a_guest_is_defined(virt_type: str) -> None:
    host = DomainHost(name="host-1", virt_type=virt_type)

    @examples(60)
    @given(GUESTS)
    def defines(guest: Guest) -> None:
        try:
            spec = spec_of(guest)
            xml = domain_xml(spec, host, Path("/folder"))
        except DriverError as error:
            assert str(error)
            return
        assert etree.fromstring(xml) is not None
        assert wanted_ownership(xml).generation == guest.generation

    defines()


@examples(60)
@given(GUESTS, some.text(max_size=9) | some.none(), some.text(max_size=3) | some.none())
def test_a_guest_is_told_about_itself(
    guest: Guest, user_data: str | None, password: str | None
) -> None:
    secrets = GuestSecrets(user_data=user_data, admin_password=password)
    try:
        files = metadata_files(spec_of(guest), random_seed=b"", secrets=secrets)
    except DriverError as error:
        assert str(error)
        return
    assert all(isinstance(contents, bytes) for contents in files.values())


@pytest.mark.parametrize("kind", WORK, ids=lambda kind: kind.type_name)
def test_work_is_read_as_it_was_written(kind: type[Work]) -> None:
    @examples(20)
    @given(messages(kind))
    def reads(work: Work) -> None:
        assert CODEC.decode(CODEC.encode(work)) == work

    reads()

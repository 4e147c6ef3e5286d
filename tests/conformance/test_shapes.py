"""The fields of each kind of body at the microversions where they change, as Nova's reference says.

A table per kind: what is there from 2.1 on, and what a microversion adds (``+``) or takes (``-``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.inventory import COMPUTE
from tests.conformance.site import KEY_NAME, Site

Changes = Mapping[int, str]

SERVER = """id name status tenant_id user_id created updated hostId progress image flavor addresses
    accessIPv4 accessIPv6 metadata key_name config_drive security_groups links OS-DCF:diskConfig
    OS-EXT-AZ:availability_zone OS-EXT-STS:vm_state OS-EXT-STS:task_state OS-EXT-STS:power_state
    OS-SRV-USG:launched_at OS-SRV-USG:terminated_at os-extended-volumes:volumes_attached"""
SERVER_CHANGES = {
    9: "+locked",
    19: "+description",
    26: "+tags",
    63: "+trusted_image_certificates",
    71: "+server_groups",
    73: "+locked_reason",
    90: "+OS-EXT-SRV-ATTR:hostname",
    96: "+pinned_availability_zone",
    100: "+scheduler_hints",
}
ADMINS_SERVER = """OS-EXT-SRV-ATTR:host OS-EXT-SRV-ATTR:instance_name
    OS-EXT-SRV-ATTR:hypervisor_hostname"""
ADMINS_CHANGES = {
    3: """+OS-EXT-SRV-ATTR:hostname +OS-EXT-SRV-ATTR:kernel_id +OS-EXT-SRV-ATTR:launch_index
    +OS-EXT-SRV-ATTR:ramdisk_id +OS-EXT-SRV-ATTR:reservation_id +OS-EXT-SRV-ATTR:root_device_name
    +OS-EXT-SRV-ATTR:user_data""",
    16: "+host_status",
}
CAPACITY = (
    "vcpus memory_mb local_gb vcpus_used memory_mb_used local_gb_used free_ram_mb free_disk_gb "
    "current_workload running_vms disk_available_least cpu_info"
)
HYPERVISOR = f"""id hypervisor_hostname state status hypervisor_type hypervisor_version host_ip
    service {CAPACITY}"""
WITHOUT = " ".join(f"-{name}" for name in CAPACITY.split())
FLAVOR = """id name ram disk vcpus swap OS-FLV-EXT-DATA:ephemeral OS-FLV-DISABLED:disabled
    os-flavor-access:is_public rxtx_factor links"""
FLAVOR_CHANGES = {
    55: "+description",
    61: "+extra_specs",
    102: "-rxtx_factor -OS-FLV-DISABLED:disabled",
}
KEY_PAIR = "name public_key fingerprint"
SHOWN_KEY_PAIR = f"{KEY_PAIR} user_id created_at deleted deleted_at id updated_at"
SERVICE = "id binary host zone status state updated_at disabled_reason"

TABLE: list[tuple[str, str, str, Changes]] = [
    ("member", "/servers/{server}", SERVER, SERVER_CHANGES),
    ("member", "/servers/detail", SERVER, {**SERVER_CHANGES, 71: ""}),
    ("member", "/servers", "id name links", {}),
    ("member", "/flavors/m1.tiny", FLAVOR, FLAVOR_CHANGES),
    ("member", "/flavors/detail", FLAVOR, FLAVOR_CHANGES),
    ("member", "/flavors", "id name links", {55: "+description"}),
    ("member", f"/os-keypairs/{KEY_NAME}", SHOWN_KEY_PAIR, {2: "+type"}),
    ("member", "/os-keypairs", KEY_PAIR, {2: "+type"}),
    ("root", "/os-hypervisors", "id hypervisor_hostname state status", {}),
    # From 2.75 on the servers of a hypervisor are shown whenever there are any and they are asked.
    ("root", "/os-hypervisors/detail", HYPERVISOR, {88: f"{WITHOUT} +uptime"}),
    ("root", "/os-hypervisors/{hypervisor}", HYPERVISOR, {88: f"{WITHOUT} +uptime"}),
    ("root", "/os-services", SERVICE, {11: "+forced_down"}),
    (
        "root",
        "/os-aggregates/{aggregate}",
        "id name availability_zone hosts metadata created_at updated_at deleted deleted_at",
        {41: "+uuid"},
    ),
    (
        "root",
        "/servers/{server}",
        f"{SERVER} {ADMINS_SERVER}",
        {**SERVER_CHANGES, **ADMINS_CHANGES, 90: ""},
    ),
]


def fields_at(base: str, changes: Changes, minor: int) -> set[str]:
    """The fields at 2.``minor``."""
    found = set(base.split())
    for since in sorted(changes):
        for change in changes[since].split() if since <= minor else ():
            found = found | {change[1:]} if change[0] == "+" else found - {change[1:]}
    return found


def one_of(body: Any) -> dict[str, Any]:
    """The thing in a body, or the first of a list of them."""
    (shown, *_) = body.values()
    first: Any = shown[0] if isinstance(shown, list) else shown
    found: dict[str, Any] = first.get("keypair", first)
    return found


@pytest.mark.parametrize(
    ("caller", "path", "base", "changes"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE]
)
def test_fields(cloud: Site, caller: str, path: str, base: str, changes: Changes) -> None:
    edges = {edge for since in changes for edge in (since - 1, since)}
    wrong = []
    for minor in sorted(edges | {1, 52, 53, 74, 75, 104}):
        hypervisor = cloud.ids["node"] if minor >= 53 else cloud.ids["old node"]
        ids = {"server": cloud.ours["server_id"], "aggregate": cloud.ids["aggregate"]}
        where = f"{COMPUTE}{path.format(hypervisor=hypervisor, **ids)}"
        answer = cloud.request(caller, "GET", where, version=f"2.{minor}")
        assert answer.status_code == 200, answer.text
        seen, wanted = set(one_of(answer.json)), fields_at(base, changes, minor)
        if seen != wanted:
            wrong.append((minor, "missing", wanted - seen, "too much", seen - wanted))
    assert wrong == []


def test_what_changes_its_form(cloud: Site) -> None:
    def shown(path: str, minor: int) -> dict[str, Any]:
        answer = cloud.request("root", "GET", f"{COMPUTE}{path}", version=f"2.{minor}")
        return one_of(answer.json)

    server = f"/servers/{cloud.ours['server_id']}"
    assert set(shown(server, 46)["flavor"]) == {"id", "links"}
    embedded = {"original_name", "vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs"}
    assert set(shown(server, 47)["flavor"]) == embedded
    assert set(shown(server, 97)["image"]) == {"id", "links"}
    assert set(shown(server, 98)["image"]) == {"id", "links", "properties"}
    assert shown("/flavors/m1.tiny", 74)["swap"] == ""
    assert shown("/flavors/m1.tiny", 75)["swap"] == 0
    assert isinstance(shown("/os-hypervisors/detail", 27)["cpu_info"], str)
    assert isinstance(shown("/os-hypervisors/detail", 28)["cpu_info"], dict)
    for path in ("/os-hypervisors", "/os-services"):
        assert isinstance(shown(path, 52)["id"], int)
        assert isinstance(shown(path, 53)["id"], str)

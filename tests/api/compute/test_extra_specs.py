"""Names and values of a flavor's extra specs: checked from 2.86 on, as typed before."""

from __future__ import annotations

import re

import pytest

from tests.api.compute.world import World, refused


def path(world: World, flavor: str) -> str:
    return f"/flavors/{world.flavor(flavor)}/os-extra_specs"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hw:cpu_policy", "sharrred"),
        ("hw:cpu_polizy", "shared"),
        ("hw:cpu_cores", "²"),
        ("hw:numa_nodes", "two"),
        ("hw:boot_menu", "perhaps"),
        ("hw:mem_page_size", "huge"),
        ("hw_rng:allowed", ""),
        ("quota:disk_read_bytes_sec", "-5"),
        ("os:secure_boot", "x"),
        ("hw:numa_nodes", "0"),
        ("hw:numa_cpus.0", "all"),
        ("hw:cpu_dedicated_mask", "0-"),
        ("hw:viommu_model", "amd"),
        ("hw:input_bus", "ps2"),
        ("hw:ephemeral_encryption_format", "rot13"),
        ("hw:tpm_secret_security", "none"),
        ("quota:memory_limit", "much"),
        ("trait:HW_CPU_X86_AVX", "wanted"),
        ("trait1:CUSTOM_GOLD", ""),
        ("trait:hw_cpu", "required"),
        ("resources:VCPU", "many"),
        ("resources_a:CUSTOM_GOLD", "²"),
        ("resources:vcpu", "1"),
        ("pci_passthrough:alias", "gpu"),
        ("pci_passthrough:class", "gpu:1"),
        ("accel:profile", "x"),
        ("group_policy", "any"),
        ("hide_hypervisor_id", "perhaps"),
    ],
)
def test_what_is_wrong_is_refused(world: World, name: str, value: str) -> None:
    at, body = (
        path(world, re.sub(r"[^a-z0-9]", "-", f"wrong-{name}-{value}".lower())),
        {"extra_specs": {name: value}},
    )
    refused(world.post(at, body, token="admin", version="2.86"), 400, "badRequest", name)
    one = {name: value}
    answer = world.put(f"{at}/{name}", one, token="admin", version="2.86")
    refused(answer, 400, "badRequest", name)
    assert world.get(at, token="admin").json == {"extra_specs": {}}
    assert world.post(at, body, token="admin", version="2.85").status_code == 200


def test_what_is_right_is_taken(world: World) -> None:
    given = {
        "hw:cpu_policy": "dedicated",
        "hw:cpu_max_sockets": "2",
        "hw:numa_cpus.0": "0-3",
        "hw:mem_page_size": "2MB",
        "hw:boot_menu": "True",
        "hw_rng:allowed": "false",
        "quota:cpu_quota": "-1",
        "quota:disk_total_iops_sec": "500",
        "trait:HW_CPU_X86_AVX": "required",
        "resources:VCPU": "2",
        "aggregate_instance_extra_specs:ssd": "true",
        "hw": "of one's own",
        "hw:cpu_dedicated_mask": "^0-1,3",
        "quota:vif_shares_share": "-1",
        "quota:cpu_shares_level": "high",
        "resources1:CUSTOM_GOLD": "1",
        "traitgroup-a:CUSTOM_GOLD": "forbidden",
        "pci_passthrough:alias": "gpu:1,nic:2",
        "accel:device_profile": "fpga",
        "group_policy": "none",
        "traits": "of one's own",
        "resourceful:x": "y",
    }
    at = path(world, "right")
    answer = world.post(at, {"extra_specs": given}, token="admin", version="2.104")
    assert (answer.status_code, answer.json) == (200, {"extra_specs": given})

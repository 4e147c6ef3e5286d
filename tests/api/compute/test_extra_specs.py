"""Names and values of a flavor's extra specs: checked from 2.86 on, as typed before."""

from __future__ import annotations

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
    ],
)
def test_what_is_wrong_is_refused(world: World, name: str, value: str) -> None:
    at, body = path(world, f"wrong-{name.replace(':', '-')}"), {"extra_specs": {name: value}}
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
    }
    at = path(world, "right")
    answer = world.post(at, {"extra_specs": given}, token="admin", version="2.104")
    assert (answer.status_code, answer.json) == (200, {"extra_specs": given})

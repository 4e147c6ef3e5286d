"""Workloads: mixes of what is asked for, each for some part of a site."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tests.simulation import identity, images
from tests.simulation.clients import Client
from tests.simulation.operations import OPERATIONS

__all__ = ["OPERATIONS", "WORKLOADS", "Workload", "identity", "images"]


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A mix of operations, weighted; ``pauses_s`` between two of one client."""

    name: str
    operations: Mapping[str, float]
    clients: int = 3
    projects: int = 1
    count: int = 20
    """Operations of each client."""
    pauses_s: tuple[float, ...] = (0.0, 0.05, 0.3, 1.0, 3.0)
    quotas: tuple[tuple[str, int], ...] = (("instances", 12), ("cores", 30))

    def run(self, name: str, client: Client) -> None:
        """Do one of them."""
        OPERATIONS[name](client)


WORKLOADS: Mapping[str, Workload] = {
    one.name: one
    for one in (
        Workload(name="boots", operations={"boot": 3, "delete": 2, "boot_with_retry": 1}),
        Workload(
            name="batches",
            operations={"boot_several": 3, "delete": 3, "boot": 1},
            projects=2,
        ),
        Workload(
            name="power",
            operations={"boot": 2, "stop": 3, "start": 3, "delete": 0.5},
            pauses_s=(0.0, 0.3, 1.0, 3.0, 10.0),
        ),
        Workload(
            name="reboots",
            operations={
                "boot": 2,
                "reboot_soft": 3,
                "reboot_hard": 2,
                "stop": 1,
                "start": 1,
                "delete": 0.5,
            },
            pauses_s=(0.0, 0.3, 1.0, 3.0, 30.0),
        ),
        Workload(
            name="deletes",
            operations={"boot_and_delete": 4, "boot": 1, "delete": 2, "stop": 1},
        ),
        Workload(
            name="quota",
            operations={"boot": 3, "boot_several": 3, "delete": 4, "set_quota": 1},
            clients=4,
            projects=2,
            quotas=(("instances", 4), ("cores", 8)),
            pauses_s=(0.0, 0.0, 0.1, 0.5),
        ),
        Workload(
            name="projects",
            operations={"boot": 3, "delete": 2, "stop": 1, "start": 1, "describe": 2},
            projects=5,
            clients=4,
        ),
        Workload(
            name="flavors",
            operations={"change_flavors": 3, "boot": 2, "delete": 2, "change_service": 1},
            projects=2,
        ),
        Workload(
            name="slowly",
            operations={"boot": 4, "delete": 1, "stop": 1, "start": 1, "reboot_soft": 1},
            count=12,
            pauses_s=(0.0, 1.0, 60.0, 400.0),
        ),
        Workload(
            name="images",
            operations={
                "create_image": 2,
                "upload_image": 5,
                "activate_image": 0.5,
                "delete_image": 1,
                "boot_from_image": 3,
                "delete": 1,
            },
            pauses_s=(0.0, 0.3, 1.0, 30.0, 300.0),
        ),
        Workload(
            name="identity",
            operations={
                "make_domain": 1,
                "end_domain": 0.7,
                "make_project": 3,
                "change_project": 2,
                "delete_project": 1,
                "make_user": 3,
                "change_user": 2,
                "delete_user": 1,
                "change_role": 3,
                "boot_in_project": 2,
                "delete": 1,
            },
            clients=4,
        ),
        Workload(
            name="everything",
            operations=dict.fromkeys(OPERATIONS, 1) | {"boot": 3, "delete": 2},
            projects=3,
            clients=4,
        ),
    )
}

"""What is asked of compute and of the fleet: operations, each one function.

A new operation is one function in ``OPERATIONS`` and its name in the workloads it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from commands.compute.create import CreateServers, NewServer
from commands.compute.delete import DeleteServer
from commands.compute.flavor import CreateFlavor, DeleteFlavor, DescribeFlavor, SetExtraSpecs
from commands.compute.lock import LockServer, UnlockServer
from commands.compute.metadata import MergeMetadata
from commands.compute.power import StartServer, StopServer
from commands.compute.quota import SetQuotas
from commands.compute.reboot import RebootServer
from commands.compute.rename import RenameServer
from commands.fleet.service import DisableService, EnableService, ForceDownService
from events.compute.flavor import KEY, FlavorSnapshot
from events.compute.server import ImageSnapshot, Server
from events.fleet.request import SHARD
from events.message import Command
from tests.simulation.clients import Client
from tests.simulation.machines import DEAF, IMAGES

Operation = Callable[[Client], None]

OPERATIONS: dict[str, Operation] = {}


def operation(run: Operation) -> Operation:
    OPERATIONS[run.__name__] = run
    return run


def _some_server(client: Client) -> Server | None:
    """One of those that the projections show; sometimes one that is gone."""
    servers = client.world.visible_servers()
    if not servers:
        return None
    if client.rng.random() < 0.8:
        servers = [one for one in servers if one.vm_state != "deleted"] or servers
    return client.rng.choice(servers)


def _ask(client: Client, make: Callable[[Server], Command]) -> None:
    server = _some_server(client)
    if server is None:
        boot(client)
    else:
        client.ask(make(server), server.project_id)


def create(client: Client, count: int, **more: Any) -> CreateServers:
    rng = client.rng
    flavor = rng.choice(sorted(client.flavors.values(), key=lambda one: one.flavor_id))
    checksum = rng.choice(sorted(IMAGES))
    image = ImageSnapshot(
        image_id=f"image-{checksum[:8]}",
        name="image",
        checksum=checksum,
        size_bytes=len(IMAGES[checksum]),
        disk_format="raw",
    )
    prefix = DEAF if rng.random() < 0.3 else "vm"
    names = [f"{prefix}-{client.number}-{client.made}-{n}" for n in range(count)]
    return CreateServers(
        project_id=rng.choice(client.projects),
        user_id=f"user-{client.number}",
        servers=[NewServer(server_id=client.new_id(), name=n, hostname=n) for n in names],
        flavor=flavor,
        image=image,
        networks="none",
        reservation_id=f"r-{client.number}-{client.made}",
        seed=rng.randrange(1 << 30),
        config_drive=rng.random() < 0.2,
        **more,
    )


@operation
def boot(client: Client) -> None:
    command = create(client, 1)
    client.ask(command, command.project_id)


@operation
def boot_several(client: Client) -> None:
    count = client.rng.randint(2, 5)
    command = create(client, count, min_count=client.rng.choice((0, 1)))
    client.ask(command, command.project_id)


@operation
def boot_with_retry(client: Client) -> None:
    """With an Idempotency-Key: asked again until it is answered, and once more for luck."""
    command = create(client, 1, fingerprint=f"print-{client.number}-{client.made}")
    for _ in range(4):
        if client.ask(command, command.project_id) not in (None, 503) and client.rng.random() < 0.7:
            return


@operation
def delete(client: Client) -> None:
    _ask(client, lambda server: DeleteServer(server_id=server.server_id))


@operation
def boot_and_delete(client: Client) -> None:
    """Deleted at some moment of its boot."""
    command = create(client, 1)
    client.ask(command, command.project_id)
    client.process.pause(client.rng.choice((0.0, 0.05, 0.2, 0.5, 1.0)))
    client.ask(DeleteServer(server_id=command.servers[0].server_id), command.project_id)


@operation
def stop(client: Client) -> None:
    _ask(client, lambda server: StopServer(server_id=server.server_id))


@operation
def start(client: Client) -> None:
    _ask(client, lambda server: StartServer(server_id=server.server_id))


@operation
def reboot_soft(client: Client) -> None:
    _ask(client, lambda server: RebootServer(server_id=server.server_id, type="SOFT"))


@operation
def reboot_hard(client: Client) -> None:
    _ask(client, lambda server: RebootServer(server_id=server.server_id, type="HARD"))


@operation
def describe(client: Client) -> None:
    """Whatever changes no state."""
    id = f"{client.made}-{client.left}"
    makes: list[Callable[[Server], Command]] = [
        lambda server: RenameServer(server_id=server.server_id, name=f"vm-{id}"),
        lambda server: MergeMetadata(server_id=server.server_id, metadata={"key": id}),
        lambda server: LockServer(server_id=server.server_id, by_admin=False),
        lambda server: UnlockServer(server_id=server.server_id),
    ]
    _ask(client, client.rng.choice(makes))


@operation
def set_quota(client: Client) -> None:
    project = client.rng.choice(client.projects)
    names = ("instances", "cores", "ram")
    given = {client.rng.choice(names): client.rng.choice((2, 4, 10, 5000, 20000))}
    client.ask(
        SetQuotas(project_id=project, limits=given, force=client.rng.random() < 0.5), project
    )


@operation
def change_flavors(client: Client) -> None:
    """Servers keep the flavor that they were made with."""
    id = f"f-{client.rng.randrange(4)}"
    vcpus = client.rng.randint(1, 3)
    what = client.rng.choice(("create", "create", "delete", "describe", "specs"))
    command: Command
    if what == "create":
        command = CreateFlavor(
            flavor_id=id, name=f"flavor {id}", vcpus=vcpus, ram_mib=512 * vcpus, root_gib=1,
            ephemeral_gib=0, swap_mib=0, rxtx_factor=1.0, is_public=True, description=None,
            disabled=False, project_ids=[],
        )  # fmt: skip
    elif what == "delete":
        command = DeleteFlavor(flavor_id=id)
    elif what == "describe":
        command = DescribeFlavor(flavor_id=id, description=str(client.left))
    else:
        command = SetExtraSpecs(flavor_id=id, extra_specs={"color": "blue"})
    status = client.ask(command, KEY)
    if isinstance(command, CreateFlavor) and status == 0:
        client.flavors[id] = FlavorSnapshot(
            flavor_id=id, name=command.name, vcpus=vcpus, ram_mib=512 * vcpus, root_gib=1
        )
    elif what == "delete":
        client.flavors.pop(id, None)


@operation
def change_service(client: Client) -> None:
    """An operator disables, enables, declares dead."""
    host = client.rng.choice(client.world.machines).host
    command: Command = client.rng.choice(
        (
            DisableService(host=host, reason="maintenance"),
            EnableService(host=host),
            EnableService(host=host),
            ForceDownService(host=host, forced_down=True),
            ForceDownService(host=host, forced_down=False),
        )
    )
    client.ask(command, SHARD)

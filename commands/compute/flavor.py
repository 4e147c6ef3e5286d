"""Create, change, share and delete flavors. All have one key, so names and ids are unique."""

from __future__ import annotations

from typing import Annotated

from commands.decision import Decision, View, accept, decides, decides_on_view, refuse
from commands.lookup import lookup
from events.compute import flavor as facts
from events.compute.flavor import Flavor, FlavorId, FlavorSnapshot
from events.message import Amount, Command, ProjectId, Text

_named = lookup("flavor.by_name", "flavor", lambda flavor: (flavor.flavor.name,))


class CreateFlavor(Command, frozen=True, kw_only=True):
    """Create a flavor."""

    flavor_id: FlavorId
    name: Annotated[str, "Name, unique among flavors."]
    vcpus: Annotated[Amount, "Virtual CPUs."]
    ram_mib: Annotated[Amount, "Memory in MiB."]
    root_gib: Annotated[Amount, "Root disk in GiB."]
    ephemeral_gib: Annotated[Amount, "Ephemeral disk in GiB."] = 0
    swap_mib: Annotated[Amount, "Swap disk in MiB."] = 0
    rxtx_factor: Annotated[float, "Bandwidth factor."] = 1.0
    is_public: Annotated[bool, "Every project may use it."] = True
    description: Annotated[Text | None, "Free text."] = None
    disabled: Annotated[bool, "New servers may not use it."] = False
    project_ids: Annotated[list[str], "Projects that may use it, when not public."] = []


class DescribeFlavor(Command, frozen=True, kw_only=True):
    """Change the description."""

    flavor_id: FlavorId
    description: Annotated[Text | None, "The new description."] = None


class DeleteFlavor(Command, frozen=True, kw_only=True):
    """Delete a flavor."""

    flavor_id: FlavorId


class SetExtraSpecs(Command, frozen=True, kw_only=True):
    """Add or change extra specs."""

    flavor_id: FlavorId
    extra_specs: facts.ExtraSpecs


class DeleteExtraSpec(Command, frozen=True, kw_only=True):
    """Remove one extra spec."""

    flavor_id: FlavorId
    key: Annotated[str, "Name of the extra spec."]


class AddFlavorAccess(Command, frozen=True, kw_only=True):
    """Let a project use a flavor that is not public."""

    flavor_id: FlavorId
    project_id: ProjectId


class RemoveFlavorAccess(Command, frozen=True, kw_only=True):
    """Let a project use a flavor no longer."""

    flavor_id: FlavorId
    project_id: ProjectId


@decides_on_view(CreateFlavor)
def create(view: View, command: CreateFlavor, at: int) -> Decision:
    """200 or 409 (id or name taken)."""
    if view.get("flavor", command.flavor_id) is not None:
        return refuse(
            409, "conflictingRequest", f"Flavor with ID {command.flavor_id} already exists."
        )
    if _named(view, command.name):
        return refuse(409, "conflictingRequest", f"Flavor with name {command.name} already exists.")
    flavor = FlavorSnapshot(
        flavor_id=command.flavor_id,
        name=command.name,
        vcpus=command.vcpus,
        ram_mib=command.ram_mib,
        root_gib=command.root_gib,
        ephemeral_gib=command.ephemeral_gib,
        swap_mib=command.swap_mib,
        rxtx_factor=command.rxtx_factor,
        is_public=command.is_public,
        disabled=command.disabled,
        description=command.description,
    )
    return accept(
        facts.FlavorCreated(
            at=at, flavor_id=command.flavor_id, flavor=flavor, project_ids=command.project_ids
        )
    )


def _not_found(flavor_id: str) -> Decision:
    return refuse(404, "itemNotFound", f"Flavor {flavor_id} could not be found.")


@decides(DescribeFlavor, "flavor", key="flavor_id")
def describe(flavor: Flavor | None, command: DescribeFlavor, at: int) -> Decision:
    """200 or 404."""
    if flavor is None:
        return _not_found(command.flavor_id)
    if flavor.flavor.description == command.description:
        return accept()
    return accept(
        facts.FlavorDescribed(at=at, flavor_id=command.flavor_id, description=command.description)
    )


@decides(DeleteFlavor, "flavor", key="flavor_id")
def delete(flavor: Flavor | None, command: DeleteFlavor, at: int) -> Decision:
    """202 or 404."""
    if flavor is None:
        return _not_found(command.flavor_id)
    return accept(facts.FlavorDeleted(at=at, flavor_id=command.flavor_id))


@decides(SetExtraSpecs, "flavor", key="flavor_id")
def set_extra_specs(flavor: Flavor | None, command: SetExtraSpecs, at: int) -> Decision:
    """200 or 404."""
    if flavor is None:
        return _not_found(command.flavor_id)
    if flavor.flavor.extra_specs | command.extra_specs == flavor.flavor.extra_specs:
        return accept()
    return accept(
        facts.ExtraSpecsSet(at=at, flavor_id=command.flavor_id, extra_specs=command.extra_specs)
    )


@decides(DeleteExtraSpec, "flavor", key="flavor_id")
def delete_extra_spec(flavor: Flavor | None, command: DeleteExtraSpec, at: int) -> Decision:
    """200 or 404."""
    if flavor is None:
        return _not_found(command.flavor_id)
    if command.key not in flavor.flavor.extra_specs:
        return refuse(
            404,
            "itemNotFound",
            f"Flavor {command.flavor_id} has no extra specs with key {command.key}.",
        )
    return accept(facts.ExtraSpecDeleted(at=at, flavor_id=command.flavor_id, spec=command.key))


@decides(AddFlavorAccess, "flavor", key="flavor_id")
def add_access(flavor: Flavor | None, command: AddFlavorAccess, at: int) -> Decision:
    """200, 404 or 409 (public, or has it already)."""
    if flavor is None:
        return _not_found(command.flavor_id)
    if flavor.flavor.is_public:
        return refuse(409, "conflictingRequest", "Can not add access to a public flavor.")
    if command.project_id in flavor.project_ids:
        return refuse(
            409,
            "conflictingRequest",
            f"Flavor access already exists for flavor {command.flavor_id}"
            f" and project {command.project_id} combination.",
        )
    return accept(
        facts.FlavorAccessAdded(at=at, flavor_id=command.flavor_id, project_id=command.project_id)
    )


@decides(RemoveFlavorAccess, "flavor", key="flavor_id")
def remove_access(flavor: Flavor | None, command: RemoveFlavorAccess, at: int) -> Decision:
    """200 or 404."""
    if flavor is None:
        return _not_found(command.flavor_id)
    if command.project_id not in flavor.project_ids:
        return refuse(
            404,
            "itemNotFound",
            f"Flavor access not found for {command.flavor_id} / {command.project_id} combination.",
        )
    return accept(
        facts.FlavorAccessRemoved(at=at, flavor_id=command.flavor_id, project_id=command.project_id)
    )

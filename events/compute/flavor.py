"""Flavors: what sizes of servers there are. Global, so all have one key and one partition.

A server embeds the flavor it was made with (``FlavorSnapshot``): later changes or the
flavor's deletion do not touch it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, assert_never

import msgspec

from events.aggregate import Aggregate, register
from events.message import Amount, Event, ProjectId, Text

KEY = "flavors"
"""The key of all flavor commands."""

FlavorId = Annotated[str, "Id of the flavor, chosen by its creator or a UUID."]
ExtraSpecs = Annotated[dict[str, str], "Extra specs by name."]


class FlavorSnapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A flavor as it was at one moment."""

    flavor_id: FlavorId
    name: Annotated[str, "Name, unique among flavors."]
    vcpus: Annotated[Amount, "Virtual CPUs."]
    ram_mib: Annotated[Amount, "Memory in MiB."]
    root_gib: Annotated[Amount, "Root disk in GiB; 0: as large as the image."]
    ephemeral_gib: Annotated[Amount, "Ephemeral disk in GiB; 0: none."] = 0
    swap_mib: Annotated[Amount, "Swap disk in MiB; 0: none."] = 0
    rxtx_factor: Annotated[float, "Bandwidth factor, kept for old clients only."] = 1.0
    is_public: Annotated[bool, "Every project may use it."] = True
    disabled: Annotated[bool, "New servers may not use it."] = False
    description: Annotated[Text | None, "Free text."] = None
    extra_specs: ExtraSpecs = {}

    @property
    def disk_gib(self) -> int:
        """All disk it takes on a host: root, ephemeral and swap, in GiB."""
        return self.root_gib + self.ephemeral_gib + -(-self.swap_mib // 1024)


class Flavor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A flavor's state."""

    flavor: FlavorSnapshot
    project_ids: list[str]
    created_at: int
    updated_at: int | None = None
    deleted: bool = False


class FlavorFact(Event, frozen=True, kw_only=True):
    """Base of the facts of one flavor."""

    abstract: ClassVar[bool] = True
    folds = (("flavor", "flavor_id"),)
    flavor_id: FlavorId


class FlavorCreated(FlavorFact, frozen=True, kw_only=True):
    """A flavor was created."""

    flavor: Annotated[FlavorSnapshot, "The flavor."]
    project_ids: Annotated[list[str], "Projects that may use it, when it is not public."] = []


class FlavorDescribed(FlavorFact, frozen=True, kw_only=True):
    """A flavor's description changed."""

    description: Annotated[Text | None, "The new description."] = None


class ExtraSpecsSet(FlavorFact, frozen=True, kw_only=True):
    """Extra specs were added to a flavor, or changed."""

    extra_specs: ExtraSpecs


class ExtraSpecDeleted(FlavorFact, frozen=True, kw_only=True):
    """One extra spec was removed from a flavor."""

    spec: Annotated[str, "Name of the extra spec."]


class FlavorAccessAdded(FlavorFact, frozen=True, kw_only=True):
    """A project may use this flavor from now on."""

    project_id: ProjectId


class FlavorAccessRemoved(FlavorFact, frozen=True, kw_only=True):
    """A project may use this flavor no longer."""

    project_id: ProjectId


class FlavorDeleted(FlavorFact, frozen=True, kw_only=True):
    """A flavor was deleted; servers made with it keep their copy."""


Fact = (
    FlavorCreated
    | FlavorDescribed
    | ExtraSpecsSet
    | ExtraSpecDeleted
    | FlavorAccessAdded
    | FlavorAccessRemoved
    | FlavorDeleted
)


def evolve(flavor: Flavor | None, event: Fact) -> Flavor | None:
    """The flavor after ``event``."""
    if isinstance(event, FlavorCreated):
        return Flavor(flavor=event.flavor, project_ids=event.project_ids, created_at=event.at)
    if flavor is None:
        return None
    return msgspec.structs.replace(_changed(flavor, event), updated_at=event.at)


def _changed(flavor: Flavor, event: Fact) -> Flavor:
    replace = msgspec.structs.replace
    match event:
        case FlavorDescribed():
            return replace(flavor, flavor=replace(flavor.flavor, description=event.description))
        case ExtraSpecsSet():
            return _with_specs(flavor, flavor.flavor.extra_specs | event.extra_specs)
        case ExtraSpecDeleted():
            specs = {k: v for k, v in flavor.flavor.extra_specs.items() if k != event.spec}
            return _with_specs(flavor, specs)
        case FlavorAccessAdded():
            return replace(flavor, project_ids=[*flavor.project_ids, event.project_id])
        case FlavorAccessRemoved():
            kept = [p for p in flavor.project_ids if p != event.project_id]
            return replace(flavor, project_ids=kept)
        case FlavorDeleted():
            return replace(flavor, deleted=True)
        case FlavorCreated():
            return flavor
        case _:
            assert_never(event)


def _with_specs(flavor: Flavor, specs: dict[str, str]) -> Flavor:
    replace = msgspec.structs.replace
    return replace(flavor, flavor=replace(flavor.flavor, extra_specs=specs))


register(Aggregate("flavor", "compute", Flavor, evolve, gone=lambda flavor: flavor.deleted))

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from commands.image.update import Change, UpdateImage, update
from events.image import attributes as a
from events.image.content import ImageUploadStarted
from tests.commands.image.story import ID, NOW, created, given, state_after


def patch(*changes: tuple[str, str] | tuple[str, str, Any]) -> UpdateImage:
    return UpdateImage(
        image_id=ID,
        changes=[
            Change(op=change[0], key=change[1], value=json.dumps(change[2]))
            if len(change) == 3
            else Change(op=change[0], key=change[1])
            for change in changes
        ],
    )


STARTED = ImageUploadStarted(at=NOW, image_id=ID, upload_id="u", staged=False, lease_until=NOW + 1)


def test_only_what_differs_becomes_a_fact() -> None:
    command = patch(("replace", "name", "other"), ("replace", "min_ram", 0))
    given(created()).when(command).then(a.ImageRenamed(at=NOW, image_id=ID, name="other"))


def test_a_patch_that_ends_where_it_began_leaves_no_trace() -> None:
    command = patch(("add", "x", "1"), ("replace", "x", "2"), ("remove", "x"))
    given(created()).when(command).nothing()


def test_properties_are_set_and_removed_together() -> None:
    command = patch(("add", "new", "1"), ("remove", "old"), ("add", "kept", "v"))
    given(created(properties={"old": "o", "kept": "v"})).when(command).then(
        a.ImagePropertiesChanged(at=NOW, image_id=ID, set={"new": "1"}, removed=["old"])
    )


@pytest.mark.parametrize("change", [("replace", "none", "v"), ("remove", "none")])
def test_a_missing_property_is_a_conflict_and_nothing_is_done(change: Any) -> None:
    command = patch(("replace", "name", "other"), change)
    given(created()).when(command).refused(409, "Property none does not exist")


def test_formats_are_fixed_once_data_comes() -> None:
    command = patch(("replace", "disk_format", "qcow2"))
    given(created()).when(command).then(
        a.ImageFormatsChosen(at=NOW, image_id=ID, disk_format="qcow2", container_format="bare")
    )
    given(created(), STARTED).when(command).refused(403, "queued image")


def test_each_kind_of_change_is_its_own_fact() -> None:
    command = patch(
        ("replace", "visibility", "public"),
        ("replace", "protected", True),
        ("replace", "os_hidden", True),
        ("replace", "min_disk", 3),
        ("replace", "owner", "q"),
        ("replace", "tags", ["b", "a", "b"]),
    )
    given(created()).when(command).then(
        a.ImageVisibilityChanged(at=NOW, image_id=ID, visibility="public"),
        a.ImageProtectionChanged(at=NOW, image_id=ID, protected=True),
        a.ImageHidingChanged(at=NOW, image_id=ID, hidden=True),
        a.ImageMinimaChanged(at=NOW, image_id=ID, min_disk_gib=3, min_ram_mib=0),
        a.ImageOwnerChanged(at=NOW, image_id=ID, owner="q"),
        a.ImageTagged(at=NOW, image_id=ID, tags=["a", "b"]),
    )


def test_bounds_hold_for_updates() -> None:
    full = created(properties={f"p{n}": "" for n in range(128)})
    given(full).when(patch(("add", "one", "more"))).refused(413, "properties")
    given(full).when(patch(("remove", "p1"), ("add", "one", "more"))).then(
        a.ImagePropertiesChanged(at=NOW, image_id=ID, set={"one": "more"}, removed=["p1"])
    )
    given(created()).when(patch(("add", "tags", [str(n) for n in range(129)]))).refused(413, "tags")


def test_an_unknown_image_is_404() -> None:
    given().when(patch(("replace", "name", "x"))).refused(404, ID)


KEYS = st.sampled_from(["a", "b", "c", "name", "min_disk"])
VALUES = {"name": st.text(max_size=3), "min_disk": st.integers(0, 9)}
CHANGES = st.lists(
    KEYS.flatmap(
        lambda key: st.one_of(
            st.tuples(
                st.sampled_from(["add", "replace"]),
                st.just(key),
                VALUES.get(key, st.text(max_size=3)),
            ),
            *([] if key in VALUES else [st.tuples(st.just("remove"), st.just(key))]),
        )
    ),
    max_size=8,
)


@for_all(CHANGES, st.dictionaries(st.sampled_from("abc"), st.text(max_size=3)))
def test_a_patch_does_what_a_document_would(changes: Any, properties: dict[str, str]) -> None:
    """Against the obvious model: one dictionary, changed step by step, or not at all."""
    before = created(properties=properties)
    model: dict[str, Any] = {"name": "debian", "min_disk": 0, **properties}
    missing = False
    for op, key, *value in changes:
        if op != "add" and key not in model:
            missing = True
            break
        if op == "remove":
            del model[key]
        else:
            model[key] = value[0]
    image = state_after(before)
    decision = update(image, patch(*changes), NOW)
    if missing:
        assert decision.refusal is not None and decision.refusal.status == 409
        return
    after = state_after(before, *decision.events)
    assert after is not None
    assert {"name": after.name, "min_disk": after.min_disk_gib, **after.properties} == model

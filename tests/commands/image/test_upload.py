from __future__ import annotations

import pytest

from commands.image.delete import DeleteImage
from commands.image.import_image import ImportImage
from commands.image.upload import BeginUpload, ExtendUpload, FailUpload, FinishUpload
from events.image import content as c
from events.image.attributes import ImageDeleted
from events.image.image import IMAGE
from events.message import Event
from tests.commands.image.story import ID, NOW, created, given, state_after

BEGIN = BeginUpload(image_id=ID, upload_id="u1", staged=False, lease_ms=1000)
STAGE = BeginUpload(image_id=ID, upload_id="u1", staged=True, lease_ms=1000)
FINISH = FinishUpload(
    image_id=ID,
    upload_id="u1",
    checksum="5" * 128,
    md5="1" * 32,
    size_bytes=7,
    virtual_size_bytes=7,
    detected_formats=["raw"],
)
FAIL = FailUpload(image_id=ID, upload_id="u1", reason="The client hung up.")


def started(staged: bool = False, upload_id: str = "u1") -> c.ImageUploadStarted:
    return c.ImageUploadStarted(
        at=NOW, image_id=ID, upload_id=upload_id, staged=staged, lease_until=NOW + 1_000_000
    )


def arrived(kind: type[c.ImageUploaded | c.ImageStaged], formats: list[str]) -> Event:
    return kind(
        at=NOW,
        image_id=ID,
        upload_id="u1",
        checksum="5" * 128,
        md5="1" * 32,
        size_bytes=7,
        virtual_size_bytes=7,
        detected_formats=formats,
    )


UPLOADED = arrived(c.ImageUploaded, ["raw"])
STAGED = arrived(c.ImageStaged, ["raw"])


def test_a_whole_upload() -> None:
    given(created()).when(BEGIN).then(started())
    given(created(), started()).when(FINISH).then(UPLOADED)
    image = state_after(created(), started(), UPLOADED)
    assert image is not None
    assert (image.status, image.upload) == ("active", None)
    assert image.content is not None and image.content.size == 7


@pytest.mark.parametrize("field", ["disk_format", "container_format"])
def test_formats_come_before_data(field: str) -> None:
    given(created(**{field: None})).when(BEGIN).refused(400, field)
    given(created(**{field: None})).when(STAGE).then(started(staged=True))


def test_only_a_queued_image_takes_data() -> None:
    given(created(), started()).when(BEGIN).refused(409, "from saving to saving")
    given(created(), started(), UPLOADED).when(BEGIN).refused(409, "from active to saving")
    given().when(BEGIN).refused(404, ID)


def test_a_failed_upload_queues_the_image_again() -> None:
    failed = c.ImageUploadFailed(at=NOW, image_id=ID, upload_id="u1", reason="The client hung up.")
    given(created(), started()).when(FAIL).then(failed)
    image = state_after(created(), started(), failed)
    assert image is not None and image.status == "queued"
    given(created(), started(), failed).when(BEGIN).then(started())


def test_what_comes_after_the_lease_ran_out_does_not_count() -> None:
    """Nor does it disturb the attempt that came after."""
    other = (created(), started(upload_id="u2"))
    given(*other).when(FINISH).refused(409, "given up")
    given(*other).when(FAIL).nothing()
    extend = ExtendUpload(image_id=ID, upload_id="u1", received_bytes=1, lease_ms=1)
    given(*other).when(extend).refused(409, "given up")


def test_a_deletion_during_the_upload_wins() -> None:
    gone = (created(), started(), ImageDeleted(at=NOW, image_id=ID))
    given(created(), started()).when(DeleteImage(image_id=ID)).then(gone[-1])
    given(*gone).when(FINISH).refused(410, "deleted")
    given(*gone).when(FAIL).nothing()


def test_the_lease_is_the_deadline() -> None:
    image = state_after(created(), started())
    assert image is not None and IMAGE.deadline is not None and IMAGE.overdue is not None
    assert IMAGE.deadline(image) == NOW + 1_000_000
    command = IMAGE.overdue(image)
    assert isinstance(command, FailUpload)
    later = NOW + 1_000_000
    given(created(), started()).when(command, at=later).then(
        c.ImageUploadFailed(at=later, image_id=ID, upload_id="u1", reason="Data stopped arriving.")
    )
    extended = c.ImageUploadExtended(
        at=NOW, image_id=ID, upload_id="u1", received_bytes=5, lease_until=NOW + 9
    )
    given(created(), started()).when(
        ExtendUpload(image_id=ID, upload_id="u1", received_bytes=5, lease_ms=0)
    ).then(
        c.ImageUploadExtended(
            at=NOW, image_id=ID, upload_id="u1", received_bytes=5, lease_until=NOW
        )
    )
    image = state_after(created(), started(), extended)
    assert image is not None and IMAGE.deadline(image) == NOW + 9
    image = state_after(created(), started(), UPLOADED)
    assert image is not None and IMAGE.deadline(image) is None


def test_staged_data_is_imported() -> None:
    given(created(), started(staged=True)).when(FINISH).then(STAGED)
    staged = (created(), started(staged=True), STAGED)
    image = state_after(*staged)
    assert image is not None and (image.status, image.content) == ("uploading", None)
    import_image = ImportImage(image_id=ID, method="glance-direct")
    imported = c.ImageImported(at=NOW, image_id=ID, method="glance-direct")
    given(*staged).when(import_image).then(imported)
    image = state_after(*staged, imported)
    assert image is not None and image.status == "active"
    assert image.content is not None and image.content.sha512 == "5" * 128


def test_import_needs_staged_data_of_the_right_format() -> None:
    import_image = ImportImage(image_id=ID, method="glance-direct")
    given(created()).when(import_image).refused(409, "from queued to importing")
    given(created(), started(staged=True)).when(import_image).refused(409, "uploading")
    unset = (created(disk_format=None), started(staged=True), STAGED)
    given(*unset).when(import_image).refused(400, "disk_format needs to be set")
    wrong = (created(), started(staged=True), arrived(c.ImageStaged, ["qcow2"]))
    given(*wrong).when(import_image).refused(400, "does not match")

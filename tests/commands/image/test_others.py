"""Deletion, activation, tags, members, signed links: each a decision or two."""

from __future__ import annotations

import pytest

from commands.image.activation import DeactivateImage, ReactivateImage
from commands.image.delete import DeleteImage
from commands.image.direct_url import link, opens, sign
from commands.image.members import AnswerShare, ShareImage, UnshareImage
from commands.image.tags import AddTag, RemoveTag
from events.image.attributes import ImageDeleted, ImageTagged
from events.image.content import ImageDeactivated, ImageReactivated
from events.image.sharing import ImageShareAnswered, ImageShared, ImageUnshared
from tests.commands.image.story import ID, NOW, created, given
from tests.commands.image.test_upload import UPLOADED, started

ACTIVE = (created(), started(), UPLOADED)


def test_delete() -> None:
    given(created()).when(DeleteImage(image_id=ID)).then(ImageDeleted(at=NOW, image_id=ID))
    given(created(protected=True)).when(DeleteImage(image_id=ID)).refused(403, "protected")
    given(created(), ImageDeleted(at=NOW, image_id=ID)).when(DeleteImage(image_id=ID)).refused(
        404, ID
    )


def test_activation() -> None:
    off, on = ImageDeactivated(at=NOW, image_id=ID), ImageReactivated(at=NOW, image_id=ID)
    given(*ACTIVE).when(DeactivateImage(image_id=ID)).then(off)
    given(*ACTIVE, off).when(DeactivateImage(image_id=ID)).nothing()
    given(*ACTIVE, off).when(ReactivateImage(image_id=ID)).then(on)
    given(*ACTIVE).when(ReactivateImage(image_id=ID)).nothing()
    given(created()).when(DeactivateImage(image_id=ID)).refused(409, "queued")
    given(created()).when(ReactivateImage(image_id=ID)).refused(409, "queued")


def test_tags() -> None:
    tagged = ImageTagged(at=NOW, image_id=ID, tags=["a", "b"])
    given(created(tags=["b"])).when(AddTag(image_id=ID, tag="a")).then(tagged)
    given(created(tags=["b"])).when(AddTag(image_id=ID, tag="b")).nothing()
    given(created(tags=["a", "b", "c"])).when(RemoveTag(image_id=ID, tag="c")).then(tagged)
    given(created()).when(RemoveTag(image_id=ID, tag="c")).refused(404, "no tag 'c'")
    full = created(tags=[str(n) for n in range(128)])
    given(full).when(AddTag(image_id=ID, tag="x")).refused(413, "tags")


def test_sharing() -> None:
    shared = ImageShared(at=NOW, image_id=ID, member="q")
    accepted = ImageShareAnswered(at=NOW, image_id=ID, member="q", status="accepted")
    share = ShareImage(image_id=ID, member="q")
    given(created()).when(share).then(shared)
    given(created(visibility="private")).when(share).refused(403, "shared")
    given(created(), shared).when(share).refused(409, "already associated")
    answer = AnswerShare(image_id=ID, member="q", status="accepted")
    given(created(), shared).when(answer).then(accepted)
    given(created(), shared, accepted).when(answer).nothing()
    given(created()).when(answer).refused(404, "q not found")
    unshare = UnshareImage(image_id=ID, member="q")
    given(created(), shared).when(unshare).then(ImageUnshared(at=NOW, image_id=ID, member="q"))
    given(created()).when(unshare).refused(404, "q not found")
    many = [ImageShared(at=NOW, image_id=ID, member=str(n)) for n in range(128)]
    given(created(), *many).when(share).refused(413, "members")


def test_a_link_opens_one_thing_for_a_time() -> None:
    key, other = b"k" * 32, b"o" * 32
    query = dict(pair.split("=") for pair in sign(key, "ab", 1000).split("&"))
    assert query["expires"] == "1000"
    signature = query["signature"]
    assert opens(key, "ab", 1000, signature, now=999)
    assert not opens(key, "ab", 1000, signature, now=1000)
    assert not opens(key, "ab", 1001, signature, now=999)
    assert not opens(key, "ac", 1000, signature, now=999)
    assert not opens(other, "ab", 1000, signature, now=999)
    assert link(key, "ab", 1000) == f"/image/v2/direct/ab?{sign(key, 'ab', 1000)}"


@pytest.mark.parametrize("signature", ["", "é", "\udcff", "0" * 64])
def test_a_strange_signature_opens_nothing(signature: str) -> None:
    assert not opens(b"k", "ab", 1000, signature, now=1)

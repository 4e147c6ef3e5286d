"""The image's fold: total over any order of facts, and sound over what deciders let happen."""

from __future__ import annotations

from typing import Any, get_type_hints

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import commands.image  # noqa: F401
from commands.decision import DECIDERS
from commands.image.activation import DeactivateImage, ReactivateImage
from commands.image.delete import DeleteImage
from commands.image.import_image import ImportImage
from commands.image.members import AnswerShare, ShareImage, UnshareImage
from commands.image.upload import BeginUpload, FailUpload, FinishUpload
from events.image import attributes as a
from events.image import content as c
from events.image import sharing as s
from events.image.image import IMAGE, Image, evolve
from events.message import MESSAGES, Command, Event
from events.state_codec import decode_state, encode_state
from projections.image.rows import document, row
from projections.image.tables import images
from tests.commands.image.story import ID, NOW, created

MODULES = (a, c, s)
FACTS = [
    cls
    for cls in MESSAGES.values()
    if issubclass(cls, a.ImageFact) and any(cls.__module__ == m.__name__ for m in MODULES)
]
LONG = st.integers(0, 2**62)


def built(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Facts of that class; whole numbers as a record can hold them."""
    hints = get_type_hints(cls)
    numbers = {int: LONG, int | None: st.none() | LONG}
    return st.builds(cls, **{key: numbers[hint] for key, hint in hints.items() if hint in numbers})


ANY_FACT = st.one_of([built(cls) for cls in FACTS])


@given(st.lists(ANY_FACT, max_size=12))
def test_the_fold_takes_facts_in_any_order(facts: list[Event]) -> None:
    """An event is a fact: whatever its order, there is a state, its bytes, and its row."""
    image = evolve(None, created())
    for fact in facts:
        image = evolve(image, fact)
        assert image is not None
        assert decode_state(encode_state(image), Image) == image


@given(ANY_FACT.filter(lambda fact: not isinstance(fact, a.ImageCreated)))
def test_nothing_is_known_of_an_image_before_its_creation(fact: Event) -> None:
    assert evolve(None, fact) is None


class Life(RuleBasedStateMachine):
    """One image under random commands of two uploaders and two members."""

    def __init__(self) -> None:
        super().__init__()
        self.image: Image | None = evolve(None, created())
        self.refusals = 0

    def ask(self, command: Command) -> None:
        decision = DECIDERS[type(command).type_name].decide(self.image, command, NOW)
        assert not (decision.events and decision.refusal)
        self.refusals += decision.refusal is not None
        for fact in decision.events:
            self.image = evolve(self.image, fact)
        if IMAGE.gone(self.image):
            self.image = None

    @rule(upload=st.sampled_from("uv"), staged=st.booleans())
    def begin(self, upload: str, staged: bool) -> None:
        self.ask(BeginUpload(image_id=ID, upload_id=upload, staged=staged, lease_ms=1))

    @rule(upload=st.sampled_from("uv"))
    def finish(self, upload: str) -> None:
        counted = self.image is not None and self.image.upload is not None
        counted = counted and self.image.upload.id == upload  # type: ignore[union-attr]
        before = self.image
        self.ask(
            FinishUpload(
                image_id=ID,
                upload_id=upload,
                checksum=upload * 128,
                md5="",
                size_bytes=1,
                virtual_size_bytes=None,
                detected_formats=["raw"],
            )
        )
        assert counted is (self.image != before)

    @rule(upload=st.sampled_from("uv"))
    def fail(self, upload: str) -> None:
        self.ask(FailUpload(image_id=ID, upload_id=upload, reason="r"))

    @rule()
    def import_staged(self) -> None:
        self.ask(ImportImage(image_id=ID, method="glance-direct"))

    @rule(command=st.sampled_from([DeactivateImage, ReactivateImage]))
    def switch(self, command: Any) -> None:
        self.ask(command(image_id=ID))

    @rule(member=st.sampled_from("pq"), command=st.sampled_from([ShareImage, UnshareImage]))
    def share(self, member: str, command: Any) -> None:
        self.ask(command(image_id=ID, member=member))

    @rule(member=st.sampled_from("pq"), status=st.sampled_from(["accepted", "rejected"]))
    def answer(self, member: str, status: str) -> None:
        self.ask(AnswerShare(image_id=ID, member=member, status=status))

    @precondition(lambda self: self.refusals > 3)
    @rule()
    def delete(self) -> None:
        self.ask(DeleteImage(image_id=ID))
        assert self.image is None

    @invariant()
    def its_status_says_what_it_has(self) -> None:
        image = self.image
        if image is None:
            return
        usable = image.status in ("active", "deactivated")
        assert (image.content is not None) is usable
        assert (image.staged is not None or image.upload is not None) is (
            image.status in ("saving", "uploading")
        )
        assert not (image.staged and image.upload)
        deadline = IMAGE.deadline(image) if IMAGE.deadline else None
        assert (deadline is not None) is (image.upload is not None)
        shown, columns = document(image), row(image)
        assert (shown["size"] is not None) is usable
        assert {*columns, "id", "state", "sequence"} == {column.name for column in images.columns}


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)

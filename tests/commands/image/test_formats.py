from __future__ import annotations

import pytest

from commands.image.formats import contradiction


@pytest.mark.parametrize(
    ("disk", "container", "detected", "fine"),
    [
        ("raw", "bare", ["raw"], True),
        ("raw", "bare", ["gpt"], True),
        ("raw", "bare", ["luks"], True),
        ("raw", "bare", ["qcow2"], False),
        ("raw", "bare", ["iso"], False),
        ("qcow2", "bare", ["qcow2"], True),
        ("qcow2", "bare", ["raw"], False),
        ("qcow2", "bare", ["qcow2", "vmdk"], False),
        ("iso", "bare", ["iso"], True),
        ("iso", "bare", ["gpt", "iso"], True),
        ("iso", "bare", ["gpt"], False),
        ("iso", "bare", ["iso", "qcow2"], False),
        ("vmdk", "bare", ["gpt", "vmdk"], False),
        ("aki", "aki", ["raw"], True),
        ("ami", "ami", ["qcow2"], False),
        ("raw", "ami", ["raw"], True),
        ("raw", "ami", ["qcow2"], False),
        ("raw", "aki", ["qcow2"], False),
        ("ploop", "bare", ["raw"], True),
        ("vmdk", "ova", ["raw"], True),
        ("raw", "compressed", ["qcow2"], True),
    ],
)
def test_data_is_what_the_record_says(
    disk: str, container: str, detected: list[str], fine: bool
) -> None:
    assert (contradiction(disk, container, detected) is None) is fine

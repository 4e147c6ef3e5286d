"""Formats as the data shows them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.image.inspection import Found, Inspection, Unsafe
from tests.api.image.samples import iso, mbr, qcow2, vdi


def inspect(data: bytes, chunk: int = 1000) -> Found:
    inspection = Inspection()
    for start in range(0, len(data), chunk):
        inspection.see(data[start : start + chunk])
    return inspection.result()


@pytest.mark.parametrize("chunk", [7, 512, 1 << 20])
def test_what_each_format_shows(chunk: int) -> None:
    assert inspect(b"\0" * 5000, chunk) == Found(["raw"], 5000)
    assert inspect(b"", chunk) == Found(["raw"], 0)
    assert inspect(qcow2(size=12345 * 512), chunk) == Found(["qcow2"], 12345 * 512)
    assert inspect(vdi(size=4096), chunk) == Found(["vdi"], 4096)
    assert inspect(mbr(), chunk) == Found(["gpt"], len(mbr()))
    assert inspect(iso(), chunk).formats == ["iso"]


def test_a_bootable_iso_has_a_partition_table_too() -> None:
    assert inspect(mbr() + iso()[len(mbr()) :]).formats == ["gpt", "iso"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (qcow2(backing_file_offset=1024), "backing file"),
        (qcow2(features=1 << 2), "data_file"),
        (qcow2(features=1 << 40), "Unknown QCOW2 features"),
        (qcow2(version=1), "version"),
        (qcow2(size=2**64 - 1), "claims a disk of"),
    ],
)
def test_unsafe_images(data: bytes, words: str) -> None:
    with pytest.raises(Unsafe, match=words):
        inspect(data)


@given(
    st.sampled_from(
        [b"QFI\xfb", b"KDMV", b"conectix", b"vhdxfile", b"LUKS\xba\xbe", b"QED\0", b"# Disk Descr"]
    ),
    st.binary(max_size=3000),
    st.integers(1, 700),
)
def test_garbage_behind_a_signature_is_found_or_unsafe(
    signature: bytes, rest: bytes, chunk: int
) -> None:
    try:
        found = inspect(signature + rest, chunk)
    except Unsafe:
        return
    assert found.formats
    assert found.virtual_size is None or 0 <= found.virtual_size <= 1 << 60


@given(st.binary(min_size=1024, max_size=1024), st.integers(0, 1016))
def test_damaged_headers_are_no_errors(noise: bytes, at: int) -> None:
    for sample in (qcow2(), vdi(), iso(), mbr()):
        damaged = bytearray(sample)
        damaged[at : at + 8] = struct.pack(">Q", int.from_bytes(noise[at : at + 8], "big"))
        try:
            inspect(bytes(damaged))
        except Unsafe as error:
            assert str(error)

"""The store on a real file system: what is used stays, what is not goes, whatever fails when."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from api.image.store import ImageStore, NotStored, Stored, StoreFull

HELLO = b"hello image"
SHA512 = hashlib.sha512(HELLO).hexdigest()


def put(store: ImageStore, image_id: str, upload_id: str, data: bytes = HELLO) -> Stored:
    with store.begin(upload_id) as upload:
        for start in range(0, len(data), 4):
            upload.write(data[start : start + 4])
        return upload.finish(image_id)


def files(store: ImageStore) -> list[str]:
    return sorted(
        str(path.relative_to(store.root))
        for path in store.root.rglob("*")
        if path.is_file() and path.name != "lock"
    )


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def test_data_is_known_by_its_hash(store: ImageStore) -> None:
    stored = put(store, "i1", "u1")
    assert stored == Stored(SHA512, hashlib.md5(HELLO).hexdigest(), len(HELLO))
    section = store.open(SHA512)
    assert (section.size, section.length, section.read(), section.read()) == (11, 11, HELLO, b"")
    section.close()
    assert files(store) == [f"blobs/{SHA512[:2]}/{SHA512}", f"references/i1/u1.{SHA512}"]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 5, b"hello"), (6, None, b"image"), (10, 1, b"e"), (3, 0, b""), (99, None, b"")],
)
def test_a_part_of_it(store: ImageStore, start: int, length: int | None, expected: bytes) -> None:
    put(store, "i1", "u1")
    section = store.open(SHA512, start, length)
    got = b"".join(iter(lambda: section.read(2), b""))
    section.close()
    assert got == expected and section.length == len(expected)


def test_unknown_data(store: ImageStore) -> None:
    with pytest.raises(NotStored):
        store.open("0" * 128)


def test_an_upload_that_is_left_leaves_nothing(store: ImageStore) -> None:
    with store.begin("u1") as upload:
        upload.write(HELLO)
    with pytest.raises(KeyError), store.begin("u2") as upload:
        upload.write(HELLO)
        raise KeyError
    assert files(store) == []


def test_so_much_of_the_disk_is_kept_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    store = ImageStore(tmp_path / "images", free // 2)
    with store.begin("u1", free // 4) as upload:
        upload.write(HELLO)
    with pytest.raises(StoreFull, match="are kept"), store.begin("u2", free):
        pass
    full = ImageStore(tmp_path / "images", 1 << 60)
    with pytest.raises(StoreFull, match="are kept"), full.begin("u3") as upload:
        upload.write(HELLO)
    assert files(store) == []


def test_what_an_image_holds(store: ImageStore) -> None:
    put(store, "i1", "u1")
    put(store, "i1", "u2", HELLO * 2)
    assert store.held("i1") == 3 * len(HELLO)
    assert store.held("i2") == 0


def test_equal_images_share_data_until_the_last_goes(store: ImageStore) -> None:
    put(store, "i1", "u1")
    put(store, "i2", "u2")
    assert store.path(SHA512).stat().st_nlink == 3
    store.release("i1")
    with closing(store.open(SHA512)) as section:
        assert section.read() == HELLO
    store.release("i2")
    assert files(store) == []
    store.release("i2")


def test_one_attempt_goes_the_other_stays(store: ImageStore) -> None:
    put(store, "i1", "u1")
    put(store, "i1", "u2")
    put(store, "i1", "u3", b"other")
    store.release("i1", "u1")
    store.release_others("i1", "u2")
    assert files(store) == [f"blobs/{SHA512[:2]}/{SHA512}", f"references/i1/u2.{SHA512}"]


def test_a_reader_keeps_what_was_removed(store: ImageStore) -> None:
    put(store, "i1", "u1")
    section = store.open(SHA512)
    store.release("i1")
    assert section.read() == HELLO
    section.close()


def test_the_sweep_removes_only_what_is_known_to_be_unused(store: ImageStore) -> None:
    put(store, "known-deleted", "u1", b"deleted")
    put(store, "live", "u2", b"live")
    put(store, "never-heard-of", "u3", b"a projection that lags does not know it yet")
    now = store.root.stat().st_mtime
    old, fresh = store.temporary / "old", store.temporary / "fresh"
    old.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(old, (now - 100, now - 100))
    orphan = store.path("ab" * 64)
    orphan.parent.mkdir()
    orphan.write_bytes(b"a crash came between the two links")

    def deleted(ids: Collection[str]) -> set[str]:
        return {"known-deleted"} & set(ids)

    assert store.sweep(deleted, now, grace_s=50) == 3
    left = files(store)
    assert "temporary/fresh" in left and "temporary/old" not in left
    assert [name.split("/")[1] for name in left if name.startswith("references")] == [
        "live",
        "never-heard-of",
    ]
    assert len([name for name in left if name.startswith("blobs")]) == 2


def test_nothing_is_lost_when_equal_data_comes_and_goes_at_once(store: ImageStore) -> None:
    """Every upload that finished can be read until it is released, by many threads at once."""

    def work(number: int) -> None:
        for turn in range(40):
            image = f"i{number}-{turn}"
            put(store, image, f"u{number}-{turn}")
            with closing(store.open(SHA512)) as section:
                assert section.read() == HELLO
            if turn % 5 == 0:
                store.sweep(lambda ids: set(), 0.0, 0.0)
            store.release(image)

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(work, number) for number in range(6)]:
            done.result(timeout=60)
    assert files(store) == []


FULL = """
import resource, signal, sys
from pathlib import Path
from api.image.store import ImageStore, StoreFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
store = ImageStore(Path(sys.argv[1]))
try:
    with store.begin("u1") as upload:
        for _ in range(100):
            upload.write(b"x" * 4096)
except StoreFull as error:
    print("full after", upload.size, error)
"""


def test_a_file_system_that_takes_no_more(tmp_path: Path) -> None:
    """A limit of the process stands for a full disk: the same call fails, with EFBIG."""
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "images")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.startswith("full after 65536 The image store is full")
    assert files(ImageStore(tmp_path / "images")) == []


def test_a_device_without_room(store: ImageStore) -> None:
    """/dev/full answers ENOSPC, as a full disk does."""
    upload = store.begin("u1")
    upload._file.close()
    upload._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
    with pytest.raises(StoreFull, match="No space left on device"):
        upload.write(HELLO)
    upload.abort()
    assert files(store) == []

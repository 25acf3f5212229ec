"""What every object store must do, as one class that the test modules of the stores inherit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from schemas.digests import Digest
from schemas.errors import AlreadyExists, InvalidValue, NotFound
from storage.blobs import BlobStore

KEY = "warc/2026/11/23/warc-20261123140000-w1-0123abcd.warc.gz"

#: Parts of keys that sort in odd ways against the slash, and keys made of them.
PARTS = st.text("ab-./0=_".replace("/", "").replace(".", ""), min_size=1, max_size=3)
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)

TRAVERSALS = [
    "",
    "/",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a/..",
    "a//b",
    "a/",
    "./a",
    ".tmp/x",
    "a/.hidden",
    "a\\b",
    "a\x00b",
    "a\nb",
    "a b",
    "ä",
    "a" * 2000,
]


class StoreBehaviour:
    """Inherit, and give a fixture `store`."""

    def test_a_put_object_reads_back(self, store: BlobStore) -> None:
        store.put(KEY, b"0123456789")
        assert store.get(KEY) == b"0123456789"
        assert store.size(KEY) == 10
        assert store.exists(KEY)
        with store.open(KEY) as stream:
            assert stream.read(4) == b"0123"
            assert stream.read() == b"456789"

    def test_a_swap_of_files_goes_by_digest(self, store: BlobStore, tmp_path: Path) -> None:
        path = tmp_path / "object"
        path.write_bytes(b"whole again")
        digests = {data: str(Digest.sha256(data)) for data in (b"damaged", b"whole again", b"other")}
        with pytest.raises(NotFound):
            store.replace_file(KEY, path, expected=digests[b"damaged"])
        store.put(KEY, b"damaged")
        with pytest.raises(AlreadyExists):
            store.replace_file(KEY, path, expected=digests[b"other"])
        assert store.get(KEY) == b"damaged"
        for _ in range(2):  # a second time changes nothing, whatever is expected
            store.replace_file(KEY, path, expected=digests[b"damaged"])
            assert store.get(KEY) == b"whole again"
        assert list(store.list()) == [KEY]

    def test_ranges(self, store: BlobStore) -> None:
        store.put(KEY, b"0123456789")
        for start, length, expected in (
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 4, b"3456"),
            (0, 0, b""),
            (8, 100, b"89"),
            (9, 1, b"9"),
            (10, 5, b""),
            (10, None, b""),
            (99, 1, b""),
        ):
            assert store.get(KEY, start=start, length=length) == expected
        for start, length in ((-1, None), (0, -1)):
            with pytest.raises(InvalidValue):
                store.get(KEY, start=start, length=length)

    def test_an_empty_object(self, store: BlobStore) -> None:
        store.put(KEY, b"")
        assert store.get(KEY) == b""
        assert store.size(KEY) == 0

    def test_put_once(self, store: BlobStore) -> None:
        store.put(KEY, b"first")
        store.put(KEY, b"first")
        for other in (b"other", b"first and more", b""):
            with pytest.raises(AlreadyExists, match="other bytes"):
                store.put(KEY, other)
        assert store.get(KEY) == b"first"

    def test_put_file(self, store: BlobStore, tmp_path: Path) -> None:
        source, other = tmp_path / "source", tmp_path / "other"
        source.write_bytes(b"a segment" * 1000)
        other.write_bytes(b"b segment" * 1000)
        store.put_file(KEY, source)
        store.put_file(KEY, source)
        store.put(KEY, source.read_bytes())
        with pytest.raises(AlreadyExists):
            store.put_file(KEY, other)
        assert store.get(KEY) == source.read_bytes() == b"a segment" * 1000

    def test_what_is_not_there(self, store: BlobStore) -> None:
        store.put("a/b", b"x")
        for key in (KEY, "a", "a/b/c", "a/c"):
            for read in (store.get, store.open, store.size):
                with pytest.raises(NotFound):
                    read(key)
            assert not store.exists(key)
            assert store.local_path(key) is None

    def test_keys_that_lead_elsewhere(self, store: BlobStore) -> None:
        acts: list[Callable[[str], object]] = [
            lambda key: store.put(key, b"x"),
            lambda key: store.replace(key, b"x", expected=None),
            store.get,
            store.open,
            store.size,
            store.exists,
            store.local_path,
        ]
        for key in TRAVERSALS:
            for act in acts:
                with pytest.raises(InvalidValue):
                    act(key)
        for prefix in ("/", "../", "a/../", "a//", ".tmp", "a/."):
            with pytest.raises(InvalidValue):
                list(store.list(prefix))

    def test_list(self, store: BlobStore) -> None:
        keys = [
            "a-b",
            "a/b",
            "a0",
            "ab/c/d",
            "log/checkpoint",
            "log/tile/0/x001/067.p/5",
            "warc/2026/11/23/x",
        ]
        for key in reversed(keys):
            store.put(key, key.encode())
        assert list(store.list()) == sorted(keys) == keys
        assert list(store.list("a")) == ["a-b", "a/b", "a0", "ab/c/d"]
        assert list(store.list("a/")) == ["a/b"]
        assert list(store.list("log/t")) == ["log/tile/0/x001/067.p/5"]
        assert list(store.list("log/tile/0/x001/067.p/5")) == ["log/tile/0/x001/067.p/5"]
        assert list(store.list("nothing/here")) == []
        assert sorted(store.folders("log/")) == ["tile"]
        assert sorted(store.folders("log/tile/0/")) == ["x001"]
        assert list(store.folders("ab/c/")) == list(store.folders("nothing/")) == []

    def test_replace_compares_and_swaps(self, store: BlobStore) -> None:
        key = "log/checkpoint"
        with pytest.raises(AlreadyExists):
            store.replace(key, b"one", expected=b"zero")
        assert not store.exists(key)
        store.replace(key, b"one", expected=None)
        store.replace(key, b"two", expected=b"one")
        for expected in (None, b"one", b"tw", b""):
            with pytest.raises(AlreadyExists):
                store.replace(key, b"three", expected=expected)
        assert store.get(key) == b"two"
        store.replace(key, b"two", expected=b"one")  # done already, by us before a stop
        assert store.get(key) == b"two"

    def test_the_probe_leaves_nothing(self, store: BlobStore) -> None:
        store.put(KEY, b"x")
        found = store.probe()
        assert {name for name, _, _ in found}
        assert all(sentence for _, _, sentence in found)
        assert list(store.list()) == [KEY]

"""The folder as an object store: what all stores do, and what a folder on a disk must do besides."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import AlreadyExists, DiskError, SettingsError, StoreError
from storage.blobs import FolderStore
from storage.stores import open_store
from tests.storage.stores import KEY, KEYS, StoreBehaviour

ROOT = Path(__file__).resolve().parents[2]


class TestFolder(StoreBehaviour):
    """The behaviour of every store, on a folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "objects")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def test_objects_are_plain_files(store: FolderStore) -> None:
    store.put(KEY, b"bytes")
    path = store.local_path(KEY)
    assert path == store.root / KEY
    assert path.read_bytes() == b"bytes"


def test_urls(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    store = open_store(str(folder))
    store.put(KEY, b"x")
    assert store.url == f"file://{tmp_path}/with%20space"
    assert open_store(store.url).get(KEY) == b"x"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.org/",
        "file://host/x",
        "file:relative",
        "ftp://x",
        "s3://",
        "s3:///x",
        "s3://b?x=1",
    ],
)
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(SettingsError):
        open_store(url)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(KEYS, max_size=12), st.one_of(KEYS, st.just("")))
def test_the_list_is_sorted_and_whole(tmp_path: Path, keys: set[str], prefix: str) -> None:
    # A key cannot be both an object and a folder of objects on a disk.
    keys = {key for key in keys if not any(other.startswith(key + "/") for other in keys)}
    shutil.rmtree(tmp_path / "objects", ignore_errors=True)
    store = FolderStore(tmp_path / "objects")
    for key in keys:
        store.put(key, b"")
    assert list(store.list(prefix)) == sorted(key for key in keys if key.startswith(prefix))


def test_temporary_files_are_no_objects_and_are_swept_when_old(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    left, fresh = store.root / ".tmp" / "left", store.root / ".tmp" / "fresh"
    left.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    assert list(store.list()) == []
    FolderStore(store.root)
    assert not left.exists()
    assert fresh.exists()


def test_nothing_is_left_after_puts(store: FolderStore) -> None:
    store.put("a", b"1")
    with pytest.raises(AlreadyExists):
        store.put("a", b"2")
    store.replace("c", b"1", expected=None)
    assert {path.name for path in (store.root / ".tmp").iterdir()} <= {"lock"}


def test_one_of_many_first_writers_wins(store: FolderStore) -> None:
    def put(number: int) -> bool:
        try:
            store.put(KEY, b"%d" % number)
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [number for number, first in enumerate(pool.map(put, range(40))) if first]
    assert len(won) == 1
    assert store.get(KEY) == b"%d" % won[0]


def test_of_many_swaps_each_counts_once(store: FolderStore) -> None:
    store.replace("counter", b"0", expected=None)

    def add(_: int) -> None:
        while True:
            held = store.get("counter")
            try:
                # The writer's own mark: a swap that finds its very bytes there already is taken as done.
                store.replace("counter", b"%d" % (int(held) + 1), expected=held)
            except AlreadyExists:
                continue
            return

    for number in range(20):
        add(number)
    assert store.get("counter") == b"20"
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda n: _swap(store, b"20", b"by %d" % n), range(16)))
    assert sum(outcomes) == 1


def _swap(store: FolderStore, expected: bytes, data: bytes) -> bool:
    try:
        store.replace("counter", data, expected=expected)
    except AlreadyExists:
        return False
    return True


def test_a_folder_that_is_gone_is_not_an_empty_store(store: FolderStore) -> None:
    store.put(KEY, b"x")
    shutil.rmtree(store.root)
    for act in (
        lambda: store.get(KEY),
        lambda: store.exists(KEY),
        lambda: list(store.list()),
        lambda: store.put(KEY, b"x"),
        lambda: store.replace(KEY, b"x", expected=None),
    ):
        with pytest.raises(StoreError, match="is gone"):
            act()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"")
    with pytest.raises(StoreError):
        FolderStore(tmp_path / "objects")


def test_a_missing_source(store: FolderStore, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="there is no file"):
        store.put_file(KEY, tmp_path / "absent")
    assert list(store.list()) == []


def test_a_full_disk(tmp_path: Path) -> None:
    """A real limit on the size of files, in a process of its own: EFBIG comes where ENOSPC would."""
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from storage.blobs import FolderStore; from schemas.errors import DiskError;"
        "store = FolderStore(Path(sys.argv[1])); store.put('small', b'x');"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));\n"
        "try: store.put('large', bytes(5000))\n"
        "except DiskError as error: print(error)\n"
        "assert list(store.list()) == ['small'] and store.get('small') == b'x'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "objects")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot put object large" in done.stdout


def test_a_killed_writer_leaves_no_half_object(tmp_path: Path) -> None:
    """Kill -9 while objects are put over and over: what stands there is whole."""
    code = (
        "import sys; from pathlib import Path; from storage.blobs import FolderStore;"
        "store = FolderStore(Path(sys.argv[1])); print('up', flush=True)\n"
        "for n in range(10**6): store.put(f'k{n:07}', b'%07d' % n * 20000)"
    )
    root = tmp_path / "objects"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        while not (root / "k0000005").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    store = FolderStore(root)
    keys = list(store.list())
    assert len(keys) >= 6
    for key in keys:
        assert store.get(key) == key[1:].encode() * 20000

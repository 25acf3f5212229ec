"""WACZ files: what is not sound is refused whole, before anything of it is kept."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.imports import Importer
from ingest.wacz import read_wacz
from schemas.errors import InvalidValue
from storage.archive import Archive
from tests.support.archives import settings
from tests.support.foreign import FILE, gz, wacz

GOOD = {"archive/data.warc.gz": gz(FILE), "pages/pages.jsonl": b"{}\n"}


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda value: {**value, "resources": [r for r in value["resources"] if r["path"] != name]}


def _changed(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: {**value, "resources": [{**r, **fields} for r in value["resources"]]}


def duplicate() -> bytes:
    made = io.BytesIO(wacz(GOOD))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(made, "a") as archive:
        archive.writestr("pages/pages.jsonl", b"other")
    return made.getvalue()


def other_local_name() -> bytes:
    return wacz(GOOD).replace(b"archive/data.warc.gz", b"archive/evil.warc.gz", 1)


def overlapping() -> bytes:
    """Two entries of the directory that point at the same bytes."""
    data = bytearray(wacz({**GOOD, "pages/other.jsonl": b"{}\n"}))
    first, second = (data.rindex(name) - 46 for name in (b"pages/pages.jsonl", b"pages/other.jsonl"))
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


BAD: dict[str, Callable[[], bytes]] = {
    "a name that leads upwards": lambda: wacz({**GOOD, "archive/../../evil.warc": b"x"}),
    "an absolute name": lambda: wacz({**GOOD, "/etc/evil": b"x"}),
    "a drive": lambda: wacz({**GOOD, "C:/evil": b"x"}),
    "a backslash": lambda: wacz({**GOOD, "archive\\evil.warc": b"x"}),
    "a name twice": duplicate,
    "another name in the local header": other_local_name,
    "entries that overlap": overlapping,
    "a lying digest": lambda: wacz(GOOD, package=_changed(hash=f"sha256:{'0' * 64}")),
    "a lying length": lambda: wacz(GOOD, package=_changed(bytes=1)),
    "a digest that nobody can check": lambda: wacz(GOOD, package=_changed(hash="crc32:01020304")),
    "a resource that is not there": lambda: wacz(GOOD, package=_changed(path="archive/no.warc")),
    "a WARC file that is not listed": lambda: wacz(GOOD, package=_without("archive/data.warc.gz")),
    "no resources": lambda: wacz(GOOD, package=lambda value: {}),
    "a package that is no object": lambda: wacz(GOOD, package=lambda value: []),
    "another digest of the package": lambda: wacz(GOOD).replace(b'"hash": "sha256:', b'"hash": "sha256:0', 1),
    "a compressed WARC file": lambda: wacz(GOOD, deflated=("archive/data.warc.gz",)),
    "a bomb": lambda: wacz({**GOOD, "pages/big.jsonl": bytes(10_000_000)}, deflated=("pages/big.jsonl",)),
    "half of it": lambda: wacz(GOOD)[: len(wacz(GOOD)) // 2],
    "a bad checksum": lambda: wacz(GOOD).replace(b"{}\n", b"[]\n", 1),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wacz_that_is_not_sound_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wacz"
    path.write_bytes(BAD[case]())
    with pytest.raises(InvalidValue):
        read_wacz(path)


def test_nothing_of_a_refused_wacz_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.wacz"
    path.write_bytes(BAD["a lying digest"]())
    with Archive.create(settings(tmp_path / "archive")) as archive:
        (report,) = Importer(archive).run([path])
        assert report.refused
        assert list(archive.store.list()) == []
        with archive.catalog.read() as tx:
            assert (tx.captures.count(), tx.log.state().next_index) == (0, 0)


def test_the_first_version_of_wacz(tmp_path: Path) -> None:
    def old(value: dict[str, Any]) -> Any:
        made = []
        for r in value["resources"]:
            stats = {"hash": r["hash"].partition(":")[2], "bytes": r["bytes"]}
            made.append({"path": r["path"], "stats": stats, "hashing": "sha256"})
        return {**value, "resources": made}

    path = tmp_path / "a.wacz"
    path.write_bytes(wacz(GOOD, package=old))
    (member,) = read_wacz(path)
    assert path.read_bytes()[member.offset : member.offset + member.length] == GOOD["archive/data.warc.gz"]

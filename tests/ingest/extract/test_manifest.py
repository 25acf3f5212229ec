"""A manifest's pages, one article a line."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from ingest.extract.manifest import predict
from schemas.errors import UsageError
from tests.ingest.extract.pages import ARTICLE, TEXT


def write(folder: Path, *rows: dict[str, str]) -> Path:
    (folder / "pages").mkdir()
    (folder / "pages" / "a.html.gz").write_bytes(gzip.compress(ARTICLE.encode()))
    (folder / "pages" / "b.html").write_bytes(b"")
    manifest = folder / "truth.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


A = {"id": "x/a", "page": "pages/a.html.gz", "url": "https://lantern.example/a", "crawled": "2026-03-01 12:00:00.5"}
B = {"id": "x/b", "page": "pages/b.html", "url": "https://lantern.example/b", "crawled": "2026-03-01T12:00:00Z"}


@pytest.mark.parametrize("workers", [0, 1])
def test_one_line_a_page(tmp_path: Path, workers: int) -> None:
    out = io.StringIO()
    written, failed = predict(write(tmp_path, A, B, {**A, "id": "x/c"}), out, workers=workers)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert written == 2
    assert [line["id"] for line in lines] == ["x/a", "x/c"]
    assert lines[0]["paragraphs"] == TEXT
    assert lines[0]["capture"] is None
    assert failed == [("x/b", "the page is empty; nothing to extract")]


@pytest.mark.parametrize(
    "rows",
    [[{"id": "x"}], [{**A, "page": "pages/none.html"}], [{**A, "crawled": "once"}], [{**A, "page": "truth.jsonl.gz"}]],
)
def test_a_manifest_that_cannot_be_read(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        predict(write(tmp_path, *rows), io.StringIO())


def test_a_page_that_is_no_gzip_file(tmp_path: Path) -> None:
    manifest = write(tmp_path, {**A, "page": "pages/c.html.gz"})
    (tmp_path / "pages" / "c.html.gz").write_bytes(b"plain")
    with pytest.raises(UsageError, match="no gzip file"):
        predict(manifest, io.StringIO())


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        predict(tmp_path / "none.jsonl", io.StringIO())

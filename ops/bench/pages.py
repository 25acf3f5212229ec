"""The pages that benchmarks work on: real ones where a corpus lies beside the checkout, else the demo paper's."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ops.demo.newspaper import Newspaper

CORPUS = "corpus/newsrooms/truth.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchPage:
    """One page with where it stood and when it was fetched."""

    url: str
    crawled: str  # ISO 8601
    html: bytes


def shared_folder() -> Path | None:
    """The data folder: PRESSMARK_SHARED, or `shared` beside the checkout."""
    named = os.environ.get("PRESSMARK_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared"
    return folder if (folder / CORPUS).is_file() else None


def load() -> tuple[str, list[BenchPage]]:
    """(what they are, the pages)."""
    folder = shared_folder()
    if folder is None:
        paper = Newspaper("https://paper.example")
        pages = [
            BenchPage(url=f"https://paper.example{story.path}", crawled="2025-10-15T00:00:00+00:00", html=page.body)
            for story in paper.readable
            if (page := paper.page(story.path, visit=1)) is not None
        ]
        return "the demo paper's pages (no corpus beside the checkout)", pages
    manifest = folder / CORPUS
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    found = [
        BenchPage(url=r["url"], crawled=r["crawled"], html=gzip.decompress((manifest.parent / r["page"]).read_bytes()))
        for r in rows
    ]
    return f"{len(found)} real news pages", found

"""Real pages: no less accurate than when this was written. The pages stay in the data folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.extract.manifest import jobs_of, predict
from ingest.extract.worker import run_one
from schemas.articles import Article, read_span

# A little below what was seen, so that a change which costs accuracy is seen; trafilatura: text .943, paragraphs .885.
FLOORS = {
    "text_f1": 0.976, "paragraph_f1": 0.950, "title": 0.945, "published": 0.96, "authors_f1": 0.945,
    "credit_f1": 0.93, "credit_precision": 0.92, "caption_f1": 0.93,
}  # fmt: skip


@pytest.mark.shared
def test_news_pages(shared: Path, tmp_path: Path) -> None:
    corpus = shared / "corpus"
    out = tmp_path / "predictions.jsonl"
    with out.open("w", encoding="utf-8") as lines:
        written, failed = predict(corpus / "newsrooms" / "truth.jsonl", lines)
    assert (written, failed) == (111, [])
    command = [sys.executable, str(corpus / "score.py"), str(corpus / "newsrooms" / "truth.jsonl"), str(out), "--json"]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {name: figures[name] for name in FLOORS if figures[name] < FLOORS[name]} == {}


@pytest.mark.shared
def test_spans_of_news_pages_read_back(shared: Path) -> None:
    """Every span that was given; and most paragraphs have one."""
    paragraphs = placed = 0
    for _name, job in list(jobs_of(shared / "corpus" / "newsrooms" / "truth.jsonl"))[::6]:
        found = run_one(job)
        assert isinstance(found, Article)
        for name, evidence in found.evidence.items():
            if name.startswith("paragraphs/"):
                paragraphs += 1
                placed += evidence.span is not None
            if evidence.span is not None and evidence.raw is not None:
                assert read_span(job.body, evidence.span) == evidence.raw
            elif evidence.span is not None and name.startswith("paragraphs/"):
                assert read_span(job.body, evidence.span) == found.paragraphs[int(name.split("/")[1])]
    assert placed > 0.9 * paragraphs
